#!/usr/bin/env python3
"""Format avro with a real schema registry: rows of many types, evolution, the registry down; read back by fastavro, value by value.

  avro.py [--kills N] [--seed N]

Fill, transfer; kill producer and consumer N times each while rows are added and the registry is killed and comes back; then the topic has every
row once with the source's values, and so has the target. A new column that may be NULL makes a new version; one that may not is refused by
the registry, and nothing is lost. A registry that is away is waited for.
"""
import csv
import decimal
import io
import json
import os
import struct
import subprocess
import sys
import threading
import time
import urllib.request

from systems import ROOT, System, fail, parser_of, play, say

try:
    import confluent_kafka
    import fastavro
except ImportError:  # they are in a venv of the cache: test/support/install.sh avro
    cache = os.environ.get("PGCH_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pgch")
    python = os.path.join(cache, "avro", "bin", "python")
    if sys.executable == python or not os.path.exists(python):
        sys.exit(f"fastavro and confluent-kafka are missing ({python}): test/support/install.sh avro")
    os.execv(python, [python, *sys.argv])

PGCH = os.environ.get("PGCH", "pgch")
TABLE = """
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE TYPE mood AS ENUM ('glad', 'so so');
CREATE TYPE spot AS (x int, "y z" text);
CREATE TABLE user_logins (id bigint PRIMARY KEY, small smallint, whole int NOT NULL, big bigint, real real, ratio double precision, ok boolean, amount numeric(20,4),
  wide numeric(50,10) NOT NULL, free numeric, cash money, day date, at timestamptz NOT NULL, wall timestamp, clock time, raw bytea, kind uuid, doc jsonb, felt mood,
  address inet, tags int[], words text[] NOT NULL, attrs hstore, place spot, "odd näme" text, number xid8, sent_to_kafka boolean DEFAULT FALSE);
"""
ROWS = """
BEGIN;
INSERT INTO user_logins SELECT i, (i % 65536 - 32768)::smallint, (i * 7919 % 4294967296 - 2147483648)::int, i * 123456789012345, (1 / (i + 0.5))::real, sqrt(i), i % 3 = 0,
  (i * 1000000.0001)::numeric(20,4) * (CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END), i::numeric ^ 8 * 1.0000000001, ('1' || repeat('0', (i % 40)::int) || '.' || i)::numeric, (i * 0.01)::numeric::money,
  date '1900-01-01' + (i * 37 % 146000)::int, timestamptz '1969-12-31 23:59:58.123456+00' + i * interval '12345.000001 second', timestamp '2024-02-29 00:00:00' - i * interval '1 hour',
  time '00:00' + i * interval '1.000001 second', decode(md5(i::text), 'hex'), md5(i::text)::uuid, jsonb_build_object('n', i, 't', 'é"\\\\'), (CASE WHEN i % 2 = 0 THEN 'glad' ELSE 'so so' END)::mood,
  ('10.0.' || i % 256 || '.1')::inet, ARRAY[i::int, NULL, -3], ARRAY['a', 'ü' || i, ''], hstore(ARRAY['k', 'i' || i], ARRAY[NULL, i::text]), ROW(i::int, 'z' || i)::spot, E'zeile\\n' || i,
  i::text::xid8, FALSE FROM generate_series({first}, {last}) i;
UPDATE user_logins SET small = NULL, big = NULL, real = NULL, ratio = 'NaN', ok = NULL, amount = NULL, free = 'NaN', cash = NULL, day = NULL, wall = NULL, clock = NULL, raw = NULL, kind = NULL,
  doc = NULL, felt = NULL, address = NULL, tags = NULL, attrs = NULL, place = NULL, "odd näme" = NULL, number = NULL WHERE id BETWEEN {first} AND {last} AND id % 5 = 0;
COMMIT;
"""
# Column → how PostgreSQL is asked for it, and how fastavro's value becomes the same.
AS_IT_IS = ("{0}::text", str)
DECIMAL = ("{0}::text", lambda v: format(v, "f"))
BY_JSON = ("to_json({0})::text", lambda v: v)
MOMENT = ("to_char({0}, 'YYYY-MM-DD HH24:MI:SS.US')", lambda v: v.strftime("%Y-%m-%d %H:%M:%S.%f"))
COLUMNS = {
    "id": AS_IT_IS, "small": AS_IT_IS, "whole": AS_IT_IS, "big": AS_IT_IS, "real": ("encode(float4send({0}), 'hex')", lambda v: struct.pack(">f", v).hex()),
    "ratio": ("encode(float8send({0}), 'hex')", lambda v: struct.pack(">d", v).hex()), "ok": ("{0}::text", lambda v: "true" if v else "false"),
    "amount": DECIMAL, "wide": DECIMAL, "free": AS_IT_IS, "cash": ("{0}::numeric::text", lambda v: format(v, "f")), "day": AS_IT_IS,
    "at": ("to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')", MOMENT[1]), "wall": MOMENT,
    "clock": ("to_char({0}::interval, 'HH24:MI:SS.US')", lambda v: v.strftime("%H:%M:%S.%f")), "raw": ("encode({0}, 'hex')", bytes.hex), "kind": AS_IT_IS,
    "doc": AS_IT_IS, "felt": AS_IT_IS, "address": ("host({0})", str), "tags": BY_JSON, "words": BY_JSON, "attrs": ("hstore_to_json({0})::text", lambda v: v),
    "place": ("to_json({0})::text", lambda v: {"x": v["x"], "y z": v["y_x20z"]}), "odd näme": AS_IT_IS, "number": AS_IT_IS,
}


class Avro(System):
    def __init__(self, seed):
        super().__init__("s0", seed, "avro")
        self.table = self.target = "user_logins"
        self.topic += "_avro"
        self.columns = dict(COLUMNS)
        self.registry = os.environ["PGCH_TEST_REGISTRY"]
        self.rows = 0
        self.schemas = {}
        self.env.update({"KAFKA_TOPIC": self.topic, "PGCH_KAFKA_SCHEMA_REGISTRY": self.registry, "PGCH_TYPES_COMPOSITE": "tuple"})

    def command(self, *arguments):
        return [PGCH, arguments[0], "--table", "user_logins", *arguments[1:]]

    def add(self, rows):
        self.sql(ROWS.format(first=self.rows + 1, last=self.rows + rows))
        self.rows += rows

    # The registry.
    def ask(self, path, body=None):
        request = urllib.request.Request(self.registry + path, data=json.dumps(body).encode() if body else None, method="PUT" if body else "GET",
                                         headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def registry_does(self, what):
        subprocess.run([f"{ROOT}/test/support/registry.sh", what, os.environ["PGCH_TEST_REGISTRY_DIR"]], check=True, timeout=150,
                       env={k: v for k, v in os.environ.items() if k != "PGCH_TEST_REGISTRY"})

    def versions(self):
        return len(self.ask(f"/subjects/{self.topic}-value/versions"))

    def schema(self, number):
        if number not in self.schemas:
            self.schemas[number] = fastavro.parse_schema(json.loads(self.ask(f"/schemas/ids/{number}")["schema"]))
        return self.schemas[number]

    # Both sides.
    def source(self):
        texts = [rule.format('"' + name + '"') for name, (rule, _) in self.columns.items()]
        out = self.sql("COPY (SELECT " + ", ".join(f"coalesce({text}, '(null)')" for text in texts) + " FROM user_logins) TO STDOUT (FORMAT csv)")
        csv.field_size_limit(1 << 30)
        return {row[0]: row for row in csv.reader(io.StringIO(out))}

    def messages(self):
        consumer = confluent_kafka.Consumer({"bootstrap.servers": os.environ["PGCH_TEST_KAFKA"], "group.id": f"{self.topic}_reader", "enable.partition.eof": True,
                                             "enable.auto.commit": False})
        partitions = consumer.list_topics(self.topic, 20).topics[self.topic].partitions
        consumer.assign([confluent_kafka.TopicPartition(self.topic, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
        left = len(partitions)
        while left:
            message = consumer.poll(20)
            if message is None:
                fail("the topic could not be read to its end")
            elif not message.error():
                yield message.value()
            elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                left -= 1
            else:
                fail(str(message.error()))
        consumer.close()

    def expect_values(self, when):
        want, seen = self.source(), set()
        for message in self.messages():
            if message[0] != 0:
                fail(f"{when}: a message does not begin with a zero")
            body = io.BytesIO(message[5:])
            schema = self.schema(struct.unpack(">I", message[1:5])[0])
            row = fastavro.schemaless_reader(body, schema, None)
            if body.read():
                fail(f"{when}: a message goes on behind its row")
            names = {field["name"]: field.get("pgch.column", field["name"]) for field in schema["fields"]}
            row = {names[name]: value for name, value in row.items()}
            key = str(row["id"])
            if key in seen:
                fail(f"{when}: row {key} is in the topic twice")
            seen.add(key)
            for (name, (_, rule)), text in zip(self.columns.items(), want[key]):
                got = None if row.get(name) is None else rule(row[name])
                if isinstance(got, (list, dict)):
                    text = json.loads(text)
                if got != (None if text == "(null)" else text):
                    fail(f"{when}: row {key}, column {name}: {text!r} at the source, {got!r} in the topic")
        if len(seen) != len(want):
            fail(f"{when}: {len(seen)} rows in the topic, {len(want)} at the source")
        say(f"avro: {when}: {len(seen)} messages, each value as at the source")

    # The scenes.
    def prepare(self):
        self.sql(f"CREATE DATABASE {self.database}", "postgres")
        self.sql(TABLE)
        self.start_serve()
        self.registry_does("continue")
        self.ask("/config", {"compatibility": "BACKWARD"})

    def checked(self):
        """What check says of the registry, and that no hint of it has the token."""
        if "schema registry at " + self.registry not in self.pgch("check"):
            fail("check says nothing of the registry")
        out = subprocess.run(self.command("check", "--flag-column", "nobody", "--set", "kafka.schema_registry_token=geheim"), capture_output=True, text=True, env=self.env,
                             cwd=self.work, timeout=120)
        if out.returncode == 0 or "pgch setup" not in out.stdout + out.stderr or "geheim" in out.stdout + out.stderr:
            fail(f"the hint of check: {out.stdout} {out.stderr}")

    def moved(self, when):
        self.transfer()
        self.expect_equal(when)
        self.expect_values(when)

    def registry_outage(self):
        time.sleep(self.random.uniform(0.5, 2))
        self.registry_does("crash")
        time.sleep(self.random.uniform(0.5, 2))
        self.registry_does("continue")

    def evolution(self):
        self.sql("ALTER TABLE user_logins ADD COLUMN extra text")
        self.clickhouse("ALTER TABLE user_logins ADD COLUMN extra Nullable(String)")
        self.columns["extra"] = AS_IT_IS
        self.sql(ROWS.format(first=self.rows + 1, last=self.rows + 100).replace("FALSE FROM", "FALSE, 'new ' || i FROM"))
        self.rows += 100
        self.moved("a column more")
        if self.versions() != 2:
            fail(f"there are {self.versions()} versions, not 2")

    def refused(self):
        self.sql("ALTER TABLE user_logins ADD COLUMN must int NOT NULL DEFAULT 5")
        self.sql(ROWS.format(first=self.rows + 1, last=self.rows + 100).replace("FALSE FROM", "FALSE, NULL, 6 FROM"))
        self.rows += 100
        out = subprocess.run(self.command("produce", "--once"), capture_output=True, text=True, env=self.env, cwd=self.work, timeout=120)
        if out.returncode != 2 or "incompatible" not in out.stderr or f"{self.topic}-value" not in out.stderr:
            fail(f"the incompatible schema: status {out.returncode}, {out.stderr}")
        if self.sql("SELECT count(*) FROM user_logins WHERE NOT sent_to_kafka") != "100" or self.versions() != 2:
            fail("rows went by a schema that was refused")
        self.sql("ALTER TABLE user_logins ALTER must DROP NOT NULL")
        self.clickhouse("ALTER TABLE user_logins ADD COLUMN must Nullable(Int32)")
        # The rows that were sent before have the default at the source, and NULL at the target.
        self.sql("UPDATE user_logins SET must = NULL WHERE must = 5")
        self.columns["must"] = AS_IT_IS
        self.moved("after the incompatible column was made compatible")

    def away(self):
        self.add_more()
        self.registry_does("crash")
        self.pgch("produce", "--once", expect=1)
        self.registry_does("continue")
        self.pgch("produce", "--once")
        self.registry_does("crash")
        log = os.path.join(self.work, "waiting.log")
        with open(log, "w") as out:
            consumer = subprocess.Popen(self.command("consume", "--once"), stdout=out, stderr=out, env=self.env, cwd=self.work)
        deadline = time.monotonic() + 60
        while "no schema registry answers" not in open(log).read():
            if consumer.poll() is not None or time.monotonic() > deadline:
                fail("the consumer does not wait for the registry: " + open(log).read())
            time.sleep(0.1)
        self.registry_does("continue")
        if consumer.wait(60) != 0:
            fail("the consumer did not go on when the registry was back: " + open(log).read())
        self.moved("after the registry was away")

    def close(self, keep):
        self.registry_does("continue")  # a scene that failed may have left it down
        super().close(keep)

    def add_more(self):
        self.sql(ROWS.format(first=self.rows + 1, last=self.rows + 50).replace("FALSE FROM", "FALSE, NULL, 7 FROM"))
        self.rows += 50

    def run(self, kills):
        self.prepare()
        self.checked()
        self.add(1500)
        self.moved("first transfer")
        outage = threading.Thread(target=self.registry_outage)
        outage.start()
        try:
            self.kills_under_load(kills)
        finally:
            outage.join()
        self.moved(f"after the kills {self.kills}")
        if self.versions() != 1:
            fail("the same table has several versions")
        self.evolution()
        self.refused()
        self.away()
        say(f"avro: batches found under way after a kill: {self.found_landed}")


def main():
    parser = parser_of(__doc__)
    parser.set_defaults(kills=4)
    args = parser.parse_args()
    decimal.getcontext().prec = 100
    say(f"seed {args.seed}")
    play(Avro(args.seed), args.kills)


if __name__ == "__main__":
    main()
