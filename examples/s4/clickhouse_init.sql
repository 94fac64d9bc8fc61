CREATE TABLE IF NOT EXISTS target_table
(
    id UInt32,
    name String,
    value Float64
)
ENGINE = MergeTree
ORDER BY id;
