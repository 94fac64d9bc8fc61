-- The target, lossless: INTEGER → Int32, TIMESTAMPTZ → microseconds in UTC, JSON → its exact text.
-- _version and _deleted are pgch's: what it needs to store a row once, however often it is sent.
CREATE DATABASE IF NOT EXISTS analytics;

CREATE TABLE IF NOT EXISTS analytics.user_logins
(
    id           Int64,
    user_id      Int32,
    event_type   String,
    event_time   DateTime64(6, 'UTC'),
    payload      Nullable(String),
    _version     UInt64,
    _deleted     UInt8 DEFAULT 0,
    _ingested_at DateTime64(3) DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY id
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
