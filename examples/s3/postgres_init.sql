CREATE TABLE IF NOT EXISTS user_login (
    id            SERIAL PRIMARY KEY,
    username      TEXT,
    event_type    TEXT,
    event_time    TIMESTAMP,
    sent_to_kafka BOOLEAN DEFAULT FALSE
);
CREATE INDEX IF NOT EXISTS user_login_unsent ON user_login (id) WHERE sent_to_kafka IS NOT TRUE;

INSERT INTO user_login (username, event_type, event_time) VALUES
    ('john_doe', 'login', '2023-10-26 09:00:00'),
    ('john_doe', 'purchase', '2023-10-26 09:12:30'),
    ('john_doe', 'logout', '2023-10-26 09:45:00'),
    ('jane_smith', 'login', '2023-10-26 10:01:15'),
    ('jane_smith', 'logout', '2023-10-26 11:30:00'),
    ('bob_builder', 'login', '2023-10-26 12:00:00'),
    ('bob_builder', 'purchase', '2023-10-26 12:20:45'),
    ('alice_wonderland', 'login', '2024-11-15 08:30:00'),
    ('alice_wonderland', 'purchase', '2024-11-15 08:47:10'),
    ('alice_wonderland', 'logout', '2024-11-15 09:05:00');
