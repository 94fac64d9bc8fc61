-- A table as it was before anybody thought of moving it …
CREATE TABLE IF NOT EXISTS user_logins (
    id         BIGSERIAL PRIMARY KEY,
    username   TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_time TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO user_logins (username, event_type, event_time)
SELECT 'user_' || i % 50, (ARRAY['login', 'logout'])[i % 2 + 1], TIMESTAMPTZ '2025-01-01 00:00:00+00' + i * INTERVAL '30 seconds'
FROM generate_series(1, 1000) AS i;
-- Values that break programs which build SQL from strings.
INSERT INTO user_logins (username, event_type) VALUES ($$O'Brien'); DROP TABLE user_logins; --$$, 'login'), (E'back\\slash\ttab', 'login');

-- … and what the flag method adds to it. `pgch setup --apply` would do the same.
ALTER TABLE user_logins ADD COLUMN IF NOT EXISTS sent_to_kafka BOOLEAN DEFAULT FALSE;
CREATE INDEX IF NOT EXISTS user_logins_unsent ON user_logins (id) WHERE sent_to_kafka IS NOT TRUE;
