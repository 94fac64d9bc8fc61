CREATE TABLE IF NOT EXISTS user_logins (
    id            BIGSERIAL PRIMARY KEY,
    user_id       INTEGER NOT NULL,
    event_type    TEXT NOT NULL,
    event_time    TIMESTAMPTZ NOT NULL,
    payload       JSON,
    sent_to_kafka BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX IF NOT EXISTS user_logins_unsent ON user_logins (id) WHERE sent_to_kafka IS NOT TRUE;

INSERT INTO user_logins (user_id, event_type, event_time, payload, sent_to_kafka)
SELECT i % 100 + 1,
       (ARRAY['login', 'logout', 'login', 'purchase'])[i % 4 + 1],
       TIMESTAMPTZ '2025-01-01 00:00:00+00' + i * INTERVAL '1 minute',
       json_build_object('ip', '10.0.' || i / 256 || '.' || i % 256),
       FALSE
FROM generate_series(1, 1000) AS i;
