#!/usr/bin/env python3
"""pgch consume reads the topics of a real Debezium PostgreSQL connector, and the target equals the source.

  debezium.py [--kills N] [--seed N]

One Kafka Connect worker, one connector for each combination of modes below (schema in the message or not, numbers, times, bytes): a table of
many types with edge values is copied (op r), then rows are inserted, updated, deleted and get other keys, while the consumer of one of
them is killed N times. Then `pgch verify` finds source and targets equal, but for the columns that a mode of Debezium's itself
alters. Unchanged values out of line (TOAST) and truncations are dead letters with a reason. Last, `pgch produce` writes such events, which a
consumer of ten lines, written for Debezium's, makes the table of again; and so does pgch consume.
"""
import json
import os
import subprocess
import time

from systems import PGCH, ROOT, SYSTEMS, System, fail, parser_of, play, say

SYSTEMS["debezium"] = ("many", "many", "many", "")
TABLE = """
CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"'); CREATE DOMAIN positive AS integer CHECK (value > 0);
CREATE TABLE many (id bigint, part text, b boolean, i2 smallint, i4 integer NOT NULL DEFAULT 7, dflt integer DEFAULT 5, i8 bigint, f4 real, f8 double precision, n numeric, n92 numeric(9,2),
  n3810 numeric(38,10), n765 numeric(76,5), n1002 numeric(100,2), m money, t text, vc varchar(20), c10 char(10), ct citext, x xml, j json, jb jsonb, by bytea, u uuid, d date, ts timestamp,
  far timestamp, ts3 timestamp(3), ts0 timestamp(0), tz timestamptz, tm time, tm24 time, tm3 time(3), iv interval, e mood, dom positive, bit1 bit(1), bit12 bit(12), ine inet, mac macaddr,
  pt point, hs hstore, o oid, ir int4range, tzr tstzrange, ai integer[], ai8 bigint[], at text[], ab boolean[], af float8[], an92 numeric(9,2)[], ad date[], ats timestamp[], ats3 timestamp(3)[],
  atz timestamptz[], au uuid[], aby bytea[], aj jsonb[], ae mood[], PRIMARY KEY (id, part));
CREATE TABLE big (id integer PRIMARY KEY, note text, large text, numbers integer[], raw bytea);
CREATE FUNCTION a_row(k bigint) RETURNS many LANGUAGE sql AS $$ SELECT (k, 'p' || k % 3, k % 2 = 0, (k * 7919 % 65536 - 32768)::smallint, k::int, NULL, k * 922337203685477::bigint, (k / 7.0)::real, sqrt(k),
  k * 1000.125, (k % 9999999 / 100.0)::numeric(9,2), k * 1234567890.0123456789::numeric(38,10), -k * 1.00001::numeric(76,5), k * 1e20::numeric(100,2), ((k - 500) / 100.0)::numeric::money, E'tab\\t"q" \\\\ \\u00e9 ' || k,
  'vc' || k, 'c' || k, 'Ci' || k, ('<a>' || k || '</a>')::xml, ('{"b": ' || k || ',  "a":[1,2]}')::json, jsonb_build_object('k', k, 'n', NULL), decode(md5(k::text), 'hex'), md5(k::text)::uuid,
  date '2024-02-29' + k::int, timestamp '1969-12-31 23:59:59.999999' + k * interval '1 hour 1 microsecond', timestamp '1900-01-01' + k * interval '1 day', timestamp '2024-02-29 12:00:00.123' + k * interval '1 ms',
  timestamp '2024-01-01' + k * interval '1 s', timestamptz '2024-02-29 12:34:56.123456+02' + k * interval '1 hour', time '12:34:56.000001' + k * interval '1 us', time '24:00:00', time '01:02:03.456', make_interval(1, 2, 0, k::int, -4, 5, k / 1000.0),
  'it''s "fine"'::mood, k + 1, (k % 2)::int::bit(1), (k % 4096)::int::bit(12), ('10.0.0.' || k % 256 || '/8')::inet, '08:00:2b:01:02:03'::macaddr, point(k / 3.0, -k), hstore(ARRAY['k', k::text, 'null', NULL]), (k % 4294967296)::oid,
  int4range(k::int, k::int + 9), tstzrange('2024-01-01 00:00+00', NULL), ARRAY[k::int, NULL, -1], ARRAY[k, 9223372036854775807], ARRAY['a', E'b"\\\\c', NULL, ''], ARRAY[true, NULL], ARRAY[k / 7.0::float8, 'NaN', 'Infinity'],
  ARRAY[(k % 999) / 100.0, NULL, -0.01]::numeric(9,2)[], ARRAY[date '1999-12-31', NULL], ARRAY[timestamp '2024-02-29 12:34:56.123456'], ARRAY[timestamp '2024-02-29 12:34:56.123'], ARRAY[timestamptz '2024-02-29 12:34:56.123456+00'],
  ARRAY[md5(k::text)::uuid], ARRAY['\\x00ff'::bytea], ARRAY['{"a": 1}'::jsonb], ARRAY['sad', 'ok']::mood[])::many $$;
INSERT INTO many (id, part) VALUES (1, '');
INSERT INTO many SELECT r.* FROM generate_series(2, 400) k, a_row(k) r;
INSERT INTO many (id, part, b, i2, i4, i8, f4, f8, n92, n3810, n765, d, ts, far, tz, iv, t, at, ai, by, bit12, hs, j) VALUES
  (-1, 'edge', true, -32768, -2147483648, -9223372036854775808, 'NaN', '-Infinity', -9999999.99, -9999999999999999999999999999.9999999999, 0.00001, '1900-01-01', '1900-01-01', '2299-12-31 23:59:59.999999', '1900-01-01 00:00+00',
   '0', '', '{}', '{}', '', B'000000000000', '', 'null'),
  (-2, '', false, 32767, 2147483647, 9223372036854775807, 'Infinity', 5e-324, 9999999.99, 9999999999999999999999999999.9999999999, -0.00001, '2299-12-31', '2260-12-31 23:59:59.999999', '1900-01-01', '2299-12-31 23:59:59.999999+00',
   '-1 mons +2 days -03:04:05.000001', E'\\u4e2d\\U0001F600', ARRAY[NULL]::text[], ARRAY[NULL]::int[], '\\x00', B'111111111111', 'a=>NULL', '"x"'),
  (-3, '"q"', NULL, 0, 0, 0, '-0', '1.7976931348623157e308', 0, 0, 0, '1970-01-01', '1970-01-01', '1970-01-01', '1970-01-01', '100 years -200 days 99:59:59', 'null', '{null,"NULL"}', '{0}', '\\xff', B'000000000001', '"a b"=>"\\"c"', '1e400');
"""
CHANGES = ["UPDATE many SET i8 = i8 + 1, t = t || '!' WHERE id % 7 = {n}", "UPDATE many SET id = id + 100000 WHERE id BETWEEN 5 AND 400 AND id % 31 = {n}",
           "DELETE FROM many WHERE id % 37 = {n}",
           "INSERT INTO many SELECT r.* FROM (SELECT coalesce(max(id), 0) m FROM many WHERE id < 100000) x, generate_series(m + 1, m + 20) k, a_row(k) r ON CONFLICT DO NOTHING",
           "BEGIN; INSERT INTO many (id, part) VALUES (0, ''); UPDATE many SET t = 'x' WHERE id = 0; DELETE FROM many WHERE id = 0; INSERT INTO many (id, part, t) VALUES (0, '', 'y'); COMMIT; "
           "DELETE FROM many WHERE id = 0"]
# name: (schema in the messages, settings of the connector, settings of pgch, columns that Debezium itself alters)
MODES = {
    "bare": (False, {"interval.handling.mode": "string", "skipped.operations": "none"}, {}, "n"),
    "schema": (True, {"interval.handling.mode": "string", "hstore.handling.mode": "map", "binary.handling.mode": "hex", "provide.transaction.metadata": "true"},
               {"DEBEZIUM_BINARY": "hex"}, "n"),
    "strings": (False, {"interval.handling.mode": "string", "decimal.handling.mode": "string", "time.precision.mode": "adaptive_time_microseconds",
                        "binary.handling.mode": "base64-url-safe"},
                {"DEBEZIUM_DECIMAL": "string", "DEBEZIUM_TIME": "adaptive_time_microseconds", "DEBEZIUM_BINARY": "base64-url-safe"}, ""),
    "double": (True, {"decimal.handling.mode": "double", "time.precision.mode": "connect"}, {"DEBEZIUM_VERSION": "offset"},
               "n,n3810,n765,n1002,iv,ts,far,tm,ats"),
    "iso": (False, {"decimal.handling.mode": "string", "time.precision.mode": "isostring", "interval.handling.mode": "string"}, {"DEBEZIUM_DECIMAL": "string"},
            "tm24"),
    "nano": (True, {"decimal.handling.mode": "string", "time.precision.mode": "nanoseconds", "interval.handling.mode": "string"}, {}, "far,ts"),
}
KILLED = "schema"


def replay(topic):
    """The consumer of ten lines: a table of the events, by their key."""
    out = subprocess.run(["kcat", "-q", "-C", "-e", "-o", "beginning", "-b", os.environ["PGCH_TEST_KAFKA"], "-t", topic, "-J"], capture_output=True, text=True, timeout=60, check=True)
    rows = {}
    for record in map(json.loads, out.stdout.splitlines()):
        key = tuple(json.loads(record["key"]).values())
        event = json.loads(record["payload"]) if record["payload"] else None
        if event is None or event["op"] == "d":
            rows.pop(key, None)
        else:
            rows[key] = event["after"]
    return rows


class Debezium(System):
    def __init__(self, seed):
        super().__init__("debezium", seed)
        self.env.pop("KAFKA_TOPIC")
        # A member that comes again under its own name need not wait until the group misses the killed one.
        self.env.update({"PGCH_KAFKA_LIBRDKAFKA": "group.instance.id=one"})
        self.worker = None
        self.prefix = f"dbz{os.getpid()}"

    def command(self, verb, *arguments):
        return [PGCH, verb, "--table", "many", *(["--format", "debezium"] if verb == "consume" else []), *arguments]

    def settings(self, mode, table="many"):
        more, left_out = MODES[mode][2:]
        out = {"KAFKA_TOPIC": self.topic_of(mode, table), "KAFKA_GROUP": f"{self.prefix}_{mode}_{table}", "CH_TABLE": f"{table}_{mode}"}
        out.update({"PGCH_KAFKA_" + name: value for name, value in more.items()})
        return dict(out, PGCH_TABLE_EXCLUDE=left_out) if left_out and table == "many" else out

    def topic_of(self, mode, table):
        return f"{self.prefix}_{mode}.public.{table}"

    def prepare(self):
        self.sql(f"CREATE DATABASE {self.database}", "postgres")
        self.sql(TABLE)
        self.start_serve()

    def start_worker(self):
        libs = subprocess.run([os.path.join(ROOT, "test/support/connect.sh")], capture_output=True, text=True, check=True).stdout.strip()
        port = subprocess.run(["bash", "-c", f". {ROOT}/test/support/lib.sh; free_port"], capture_output=True, text=True, check=True).stdout.strip()
        files = [self.write("worker", {
            "bootstrap.servers": os.environ["PGCH_TEST_KAFKA"], "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter", "offset.storage.file.filename": os.path.join(self.work, "offsets"),
            "offset.flush.interval.ms": "300", "listeners": f"http://127.0.0.1:{port}", "plugin.discovery": "only_scan"})]
        for mode, (schema, settings, _, _) in MODES.items():
            files.append(self.write(mode, {
                "name": mode, "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput", "database.hostname": "127.0.0.1",
                "database.port": os.environ["PGCH_TEST_PG_PORT"], "database.user": os.environ["PGCH_TEST_PG_USER"], "database.password": os.environ["PGCH_TEST_PG_PASSWORD"],
                "database.dbname": self.database, "topic.prefix": f"{self.prefix}_{mode}", "slot.name": f"{self.prefix}_{mode}", "publication.name": f"pub_{mode}",
                "publication.autocreate.mode": "filtered", "table.include.list": "public.many,public.big", "topic.creation.default.replication.factor": "1",
                "topic.creation.default.partitions": "2", "key.converter.schemas.enable": str(schema).lower(), "value.converter.schemas.enable": str(schema).lower(),
                "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
                "poll.interval.ms": "50", "value.converter.replace.null.with.default": "false", **settings}))
        log = open(os.path.join(self.work, "connect.log"), "w")
        self.worker = subprocess.Popen(["java", "-Xms128m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-cp", libs + "/*",
                                        "org.apache.kafka.connect.cli.ConnectStandalone", *files], stdout=log, stderr=log, cwd=self.work)
        log.close()
        self.until("the connectors to stream", lambda: self.log_of_worker().count("Starting streaming") >= len(MODES))

    def write(self, name, properties):
        path = os.path.join(self.work, name + ".properties")
        with open(path, "w") as f:
            f.write("".join(f"{key}={value}\n" for key, value in properties.items()))
        return path

    def log_of_worker(self):
        with open(os.path.join(self.work, "connect.log")) as f:
            return f.read()

    def until(self, what, done, patience=120):
        deadline = time.monotonic() + patience
        while not done():
            if self.worker.poll() is not None or time.monotonic() > deadline:
                fail(f"waited in vain for {what}; the worker's log ends: {self.log_of_worker()[-3000:]}")
            time.sleep(0.1)

    def caught_up(self):
        """All that is committed by now is in the topics."""
        before = self.sql("SELECT pg_current_wal_insert_lsn()")

        def done():
            # A connector confirms a change when it has the next one.
            self.sql("INSERT INTO big (id, note) SELECT coalesce(max(id), 0) + 1, 'mark' FROM big")
            time.sleep(0.4)
            return self.sql(f"SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE '{self.prefix}%' AND confirmed_flush_lsn > '{before}'") == str(len(MODES))

        self.until("the connectors to catch up", done)

    def consume(self, mode, table="many", expect=0):
        before = self.env
        self.env = dict(self.env, **self.settings(mode, table))
        out = subprocess.run([PGCH, "consume", "--once", "--table", table, "--format", "debezium"], capture_output=True, text=True, env=self.env, cwd=self.work, timeout=120)
        self.note(out.stderr)
        self.env = before
        if out.returncode != expect:
            fail(f"{mode}: consume ended with {out.returncode}, not {expect}: {out.stdout} {out.stderr[-4000:]} {self.reasons(mode, table)}")

    def reasons(self, mode, table):
        out = subprocess.run(["kcat", "-q", "-C", "-e", "-o", "beginning", "-b", os.environ["PGCH_TEST_KAFKA"], "-t", self.topic_of(mode, table) + ".dlq", "-f", "%h\n"],
                             capture_output=True, text=True, timeout=60)
        return [line.split("pgch-reason=")[1].split(",pgch-")[0] for line in out.stdout.split("\n") if "pgch-reason=" in line]

    def change(self, times):
        for _ in range(times):
            self.sql(self.random.choice(CHANGES).format(n=self.random.randrange(31)))

    def add(self, rows):
        self.change(1)

    def expect_all_equal(self, when):
        before = self.env
        for mode in MODES:
            self.consume(mode)
            self.env = dict(before, **self.settings(mode))
            self.pgch("verify")
            self.env = before
        say(f"debezium: {when}: {self.source_rows()} rows, equal at {len(MODES)} targets, each read from a connector of its own: {', '.join(MODES)}")

    def kills_while_it_streams(self, kills):
        """By a group of its own, into a table that merges nothing: every event is there once."""
        before, self.topic = self.env, None
        self.clickhouse(f"CREATE TABLE raw AS many_{KILLED} ENGINE = MergeTree ORDER BY (id, part)")
        self.env = {**self.env, **self.settings(KILLED), "KAFKA_GROUP": f"{self.prefix}_raw", "CH_TABLE": "raw"}
        self.kills_under_load(kills, [("consume",)])
        self.caught_up()
        self.pgch("consume", "--once")
        self.env = before
        out = subprocess.run(["kcat", "-q", "-C", "-e", "-o", "beginning", "-b", os.environ["PGCH_TEST_KAFKA"], "-t", self.topic_of(KILLED, "many"), "-f", "%S\n"],
                             capture_output=True, text=True, timeout=60, check=True)
        events = sum(size != "-1" for size in out.stdout.split())
        rows = [int(n) for n in self.clickhouse("SELECT count(), uniqExact(id, part, _version, _deleted) FROM raw").split("\t")]
        if rows[0] != events:
            fail(f"the topic has {events} events, and the raw table {rows[0]} rows, {rows[1]} of them different")
        say(f"debezium: {events} events, each once in a table that merges nothing, after the kills {self.kills}; batches found under way: {self.found_landed}")

    def what_can_not_be_moved(self):
        self.sql("INSERT INTO big SELECT 1000, 'one', s, array_agg, s::bytea FROM (SELECT string_agg(md5(random()::text), '') s, array_agg((random() * 1e9)::int) FROM generate_series(1, 900)) x;"
                 "UPDATE big SET note = 'two' WHERE id = 1000;"
                 "ALTER TABLE big REPLICA IDENTITY FULL; UPDATE big SET note = 'three' WHERE id = 1000; ALTER TABLE big REPLICA IDENTITY DEFAULT")
        self.caught_up()
        for mode in ("bare", "schema"):
            self.consume(mode, "big", expect=4)
            reasons = self.reasons(mode, "big")
            if len(reasons) != 1 or 'the field "large" has no value' not in reasons[0] or "REPLICA IDENTITY FULL" not in reasons[0]:
                fail(f"{mode}: the dead letters are {reasons}")
            got = self.clickhouse(f"SELECT note, length(large), length(raw), length(numbers) FROM big_{mode} FINAL WHERE id = 1000")
            if got != "three\t28800\t28800\t900":
                fail(f"{mode}: a row with all its values is {got}")
        self.sql("TRUNCATE big")
        self.caught_up()
        self.consume("bare", "big", expect=4)
        if not any("truncated" in reason for reason in self.reasons("bare", "big")):
            fail(f"a truncation is not told: {self.reasons('bare', 'big')}")
        say("debezium: an unchanged value out of line and a truncation are dead letters with their reason")

    def what_pgch_writes(self):
        """By notes of an outbox, so that changes and deletions go, too; the producer is killed."""
        self.sql("CREATE TABLE out AS SELECT id, part, d, ts, tz, n92, b, at, by, i8 FROM many WHERE part <> 'edge'; ALTER TABLE out ADD PRIMARY KEY (id, part)")
        env, before, self.table = self.env, self.env, "out"
        self.topic = f"{self.prefix}_out"
        self.env = env = dict(env, KAFKA_TOPIC=self.topic, KAFKA_GROUP=self.topic, PGCH_TABLE_METHOD="outbox", CH_TABLE="out", PGCH_KAFKA_DEBEZIUM_DECIMAL="string")
        self.command = lambda verb, *arguments: [PGCH, verb, "--table", "out", *(["--format", "debezium"] if verb in ("produce", "consume") else []), *arguments]
        self.pgch("setup", "--apply")
        self.sql("UPDATE out SET id = id")
        self.pgch("produce", "--once")
        problems = []
        for change in ("UPDATE out SET i8 = -i8, at = NULL WHERE id % 3 = 0", "DELETE FROM out WHERE id % 5 = 0", "UPDATE out SET id = id + 500000 WHERE id % 11 = 1"):
            self.sql(change)
            self.kill_often("produce", 1, problems)
        if problems:
            fail(problems[0])
        self.pgch("produce", "--once")
        rows = replay(self.topic)
        source = {(r["id"], r["part"]): r for r in json.loads(self.sql(
            "SELECT json_agg(json_build_object('id', id, 'part', part, 'd', d - date '1970-01-01', 'ts', (extract(epoch FROM ts) * 1000000)::bigint, 'n92', n92::text, 'b', b, 'at', at, "
            "'by', replace(encode(by, 'base64'), E'\n', ''), 'i8', i8, 'tz', to_char(tz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))) FROM out"))}
        if rows != source:
            wrong = [k for k in set(rows) | set(source) if rows.get(k) != source.get(k)]
            fail(f"a consumer of Debezium's events has {len(rows)} rows for {len(source)}, {len(wrong)} others: {[(rows.get(k), source.get(k)) for k in wrong[:2]]}")
        self.pgch("consume", "--once")
        self.pgch("verify")
        say(f"debezium: a consumer of ten lines and pgch's own rebuild {len(source)} rows from what pgch produce wrote, killed {self.kills['produce']} times")
        self.env = before

    def run(self, kills):
        self.prepare()
        self.start_worker()
        self.caught_up()
        self.expect_all_equal("copied")
        self.change(10)
        self.kills_while_it_streams(kills)
        self.what_can_not_be_moved()
        self.expect_all_equal(f"after changes and the kills {self.kills}")
        self.what_pgch_writes()

    def close(self, keep):
        if self.worker:
            if self.worker.poll() is None:
                self.worker.terminate()
                try:
                    self.worker.wait(30)
                except subprocess.TimeoutExpired:
                    self.worker.kill()
                    self.worker.wait()
            self.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL AND slot_name LIKE '%s%%'" % self.prefix, "postgres")
            self.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE '%s%%'" % self.prefix, "postgres")
        super().close(keep)


def main():
    args = parser_of(__doc__).parse_args()
    say(f"debezium: seed {args.seed}")
    play(Debezium(args.seed), args.kills)


if __name__ == "__main__":
    main()
