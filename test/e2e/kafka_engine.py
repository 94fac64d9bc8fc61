#!/usr/bin/env python3
"""ClickHouse's own Kafka engine reads what pgch produces, by the SQL of `pgch ddl --kafka-engine`.

  kafka_engine.py [json|native|avro …] [--kills N] [--seed N]

For each format, with a key and without one: the engine's process is killed N times while rows are added and produced; then the target,
read with FINAL, has every row once with the source's values. Then the whole topic is read once more, as after lost offsets: still once.
"""
import os
import signal
import subprocess
import time

from systems import System, fail, parser_of, play, say

TABLE = """
CREATE TABLE user_logins (id bigint {key}, username text NOT NULL, big numeric(30,6), day date, at timestamptz NOT NULL, raw bytea,
  kind uuid, ok boolean, ratio double precision, note text, tags {array} , sent_to_kafka boolean DEFAULT FALSE{more});
"""
ROWS = """
INSERT INTO user_logins (id, username, big, day, at, raw, kind, ok, ratio, note, tags) SELECT i, 'u "' || i || E'\\\\ \\n', i * 1000000.000001, date '2024-02-29' + (i % 900)::int,
  timestamptz '2024-11-15 10:00:00.123456+00' + i * interval '1 second', decode(md5(i::text), 'hex'), md5(i::text)::uuid, i % 3 = 0, sqrt(i),
  CASE WHEN i % 5 = 0 THEN NULL ELSE 'note ' || i END, ARRAY[i::int, NULL, 3] FROM generate_series({first}, {last}) i;
"""
# The same text from both sides.
AT_SOURCE = """
SELECT md5(string_agg(concat_ws('|', id, username, big, day, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), encode(raw, 'hex'), kind, ok::int,
  ratio, coalesce(note, 'none'), tags[1], coalesce(tags[2]::text, 'none')), E'\\n' ORDER BY id)) FROM user_logins
"""
AT_TARGET = """
SELECT lower(hex(MD5(arrayStringConcat(groupArray(line), '\\n')))) FROM (SELECT concat(toString(id), '|', username, '|', toString(toDecimalString(big, 6)), '|',
  toString(day), '|', toString(at), '|', lower(hex(raw)), '|', toString(kind), '|', toString(toUInt8(ok)), '|', toString(ratio), '|',
  ifNull(note, 'none'), '|', toString(tags[1]), '|', ifNull(toString(tags[2]), 'none')) AS line FROM user_logins FINAL ORDER BY id)
"""


class KafkaEngine(System):
    def __init__(self, wire, keyed, seed):
        super().__init__("s0", seed, wire)
        self.table = self.target = "user_logins"
        self.keyed = keyed
        self.rows = 0
        self.topic += f"_{wire}_{'keyed' if keyed else 'keyless'}"
        self.env["KAFKA_TOPIC"] = self.topic
        if wire == "avro":
            self.env["PGCH_KAFKA_SCHEMA_REGISTRY"] = os.environ["PGCH_TEST_REGISTRY"]

    def command(self, *arguments):
        return [PGCH, arguments[0], "--table", "user_logins", *arguments[1:]]

    def start(self):
        self.sql(f"CREATE DATABASE {self.database}", "postgres")
        # A table without a key goes by snapshot only. Without NULL arrays: the engine can't read those from JSON and Avro.
        self.sql(TABLE.format(key="PRIMARY KEY" if self.keyed else "NOT NULL", array="int[]" if self.wire == "native" else "int[] NOT NULL", more=""))
        self.start_serve()

    def make_target(self, group):
        self.env["KAFKA_GROUP"] = f"{self.topic}_{group}"
        ddl = self.pgch("ddl", "--kafka-engine", "--server-version", "26.7")
        text = "\n".join(line for line in ddl[ddl.index("-- ClickHouse"):].splitlines() if not line.startswith("--"))
        for statement in filter(str.strip, text.split(";\n")):
            self.clickhouse(statement)

    def add_rows(self, n):
        self.sql(ROWS.format(first=self.rows + 1, last=self.rows + n))
        self.rows += n

    def messages(self):
        out = subprocess.run(["kcat", "-q", "-C", "-b", os.environ["PGCH_TEST_KAFKA"], "-t", self.topic, "-e", "-o", "beginning", "-f", "%o\n"],
                             capture_output=True, text=True, timeout=120)
        return len(out.stdout.split())

    def wait_for(self, query, wanted):
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            got = self.clickhouse(query)
            if int(got) >= wanted:
                return
            time.sleep(0.3)
        fail(f"{query}: {got} instead of {wanted}")

    def run(self, kills):
        self.start()
        self.add_rows(3000)
        if self.keyed:
            self.pgch("produce", "--once")
        else:
            self.pgch("snapshot")
        self.make_target("first")
        for _ in range(kills):
            if self.keyed:
                self.add_rows(self.random.choice([1, 500, 5000]))
                self.pgch("produce", "--once")
            time.sleep(self.random.uniform(0.2, 3))
            self.serve.send_signal(signal.SIGKILL)
            self.serve.wait()
            self.start_serve()
        self.wait_for("SELECT count() FROM user_logins FINAL", self.rows)
        self.expect_values()
        for name in ("user_logins_from_kafka", "user_logins_kafka"):
            self.clickhouse(f"DROP TABLE {name} SYNC")
        self.make_target("again")
        self.wait_for("SELECT sum(num_messages_read) FROM system.kafka_consumers WHERE table = 'user_logins_kafka'", self.messages())
        self.wait_for("SELECT sum(num_commits) FROM system.kafka_consumers WHERE table = 'user_logins_kafka'", 1)
        self.expect_values()
        if self.keyed:
            self.pgch("verify")
        say(f"{self.wire}, {'with a key' if self.keyed else 'without a key'}: {self.rows} rows, each once with its values, after {kills} kills and read twice")

    def expect_values(self):
        want, got = self.sql(AT_SOURCE), self.clickhouse(AT_TARGET)
        if want != got:
            fail(f"the values differ: {want} at the source, {got} at the target")


PGCH = os.environ.get("PGCH", "pgch")


def main():
    parser = parser_of(__doc__)
    parser.set_defaults(kills=5)
    parser.add_argument("format", nargs="*", default=["json", "native"])
    args = parser.parse_args()
    say(f"seed {args.seed}")
    for wire in args.format:
        for keyed in (True, False):
            play(KafkaEngine(wire, keyed, args.seed), args.kills)


if __name__ == "__main__":
    main()
