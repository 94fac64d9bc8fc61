CREATE TABLE source_table (
    id SERIAL PRIMARY KEY,
    name TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL
);

-- The outbox: a trigger notes the key of each new row.
CREATE TABLE events_table (
    id INTEGER PRIMARY KEY,
    created_at TIMESTAMPTZ DEFAULT now()
);

CREATE FUNCTION log_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events_table (id) VALUES (NEW.id) ON CONFLICT DO NOTHING;
    RETURN NEW;
END
$$;

CREATE TRIGGER trg_capture_insert AFTER INSERT ON source_table FOR EACH ROW EXECUTE FUNCTION log_event();

-- Not a whole number of batches, whatever their size: the tail moves, too.
INSERT INTO source_table (name, value) SELECT 'name_' || i, i / 8.0 FROM generate_series(1, 1037) AS i;
