#!/usr/bin/env python3
"""pgch snapshot end to end on real servers, killed again and again.

  snapshot.py [--kills N] [--seed N] [--rows N]

Quiet tables (one with a key, one without, one partitioned) are copied over two connections into `pgch serve` and, by Kafka's producing half, into a
topic; the process is killed with SIGKILL N times at random moments: raw counts are exact, nothing is lost, nothing is there twice, and it says
that the copy is of one point. Then a table that grows and is updated all the while: each key of the source is there, in its last value. Then a
rewritten table, a second start, --again and --dry-run.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

from systems import System, fail, say

LOGINS = """
CREATE TABLE keyed (id bigint PRIMARY KEY, user_id int NOT NULL, username text NOT NULL, event_time timestamptz NOT NULL, payload jsonb);
INSERT INTO keyed SELECT i, i % 1000, 'user_' || i, timestamptz '2024-01-01' + i * interval '1 second', jsonb_build_object('n', i)
  FROM generate_series(1, {rows}) i;
CREATE TABLE keyless (id bigint, note text);
INSERT INTO keyless SELECT i, CASE WHEN i % 5000 = 0 THEN repeat('long', 5000) ELSE 'n' || i END FROM generate_series(1, {rows}) i;
CREATE TABLE parted (id bigint, part int, x text) PARTITION BY LIST (part);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES IN (0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1, 2);
INSERT INTO parted SELECT i, i % 3, 'x' || i FROM generate_series(1, {rows} / 4) i;
CREATE TABLE live (id bigint PRIMARY KEY, x int NOT NULL, filler text) WITH (fillfactor = 70);
INSERT INTO live SELECT i, 0, repeat('f', 60) FROM generate_series(1, {rows} / 2) i;
VACUUM ANALYZE;
"""


class Snapshot(System):
    def __init__(self, seed, rows):
        super().__init__("direct", seed)
        self.rows = rows
        self.env["PGCH_BATCH_ROWS"] = "4000"
        self.killed = 0

    def command(self, *arguments):
        # Tables are named by each call.
        from systems import PGCH
        return [PGCH, *arguments]

    def snapshot(self, tables, *flags, expect=0, settings=None):
        command = self.command("snapshot", "--json", "--connections", "2", *[f"--table={t}" for t in tables], *flags)
        out = subprocess.run(command, capture_output=True, text=True, env=dict(self.env, **(settings or {})), cwd=self.work, timeout=240)
        self.note(out.stderr)
        if out.returncode != expect:
            fail(f"{' '.join(command)} ended with {out.returncode}, not {expect}\n{out.stdout}\n{out.stderr[-4000:]}")
        return json.loads(out.stdout.splitlines()[0])

    def kill_until_done(self, tables, times, settings=None):
        """Kills each start at a random moment, `times` in all; then lets it end. The report of the last start."""
        command = self.command("snapshot", "--json", "--connections", "2", *[f"--table={t}" for t in tables])
        kills = 0
        while kills < times:
            with open(os.path.join(self.work, "snapshot.log"), "w+") as log:
                child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=dict(self.env, **(settings or {})), cwd=self.work)
                time.sleep(self.random.uniform(0.25, 0.25 + 0.05 * self.random.choice([1, 3, 10])))
                ended = child.poll()
                child.send_signal(signal.SIGKILL)
                child.wait()
                log.seek(0)
                text = log.read()
                self.note(text)
                if ended is not None and ended != 0:
                    fail(f"a start ended by itself with {ended}: {text[-3000:]}")
                if ended == 0:
                    return kills, None
            kills += 1
            self.killed += 1
        return kills, self.snapshot(tables, settings=settings)

    def expect_raw(self, table, rows):
        got = self.clickhouse(f"SELECT count(), uniqExact(id), sum(id) FROM {table}").split("\t")
        wanted = self.sql(f"SELECT count(*), count(DISTINCT id), sum(id) FROM {table}").split("|")
        if got != wanted or int(got[0]) != rows:
            fail(f"{table} has count, ids, sum {got} at the target and {wanted} at the source")

    def quiet(self, kills):
        tables = ["keyed", "keyless", "parted"]
        landed = self.found_landed
        done, report = self.kill_until_done(tables, kills)
        if report is None:
            fail(f"it had copied everything after {done} kills: more rows are needed (--rows)")
        if report["status"] != "done" or not all(t["consistent"] for t in report["tables"]):
            fail(f"the report of a copy of quiet tables is {report}")
        self.expect_raw("keyed", self.rows)
        self.expect_raw("keyless", self.rows)
        self.expect_raw("parted", self.rows // 4)
        again = self.snapshot(tables)
        if [t["status"] for t in again["tables"]] != ["already"] * 3 or again["rows"] != 0:
            fail(f"a second start copied something: {again}")
        say(f"snapshot: {kills} kills, {2 * self.rows + self.rows // 4} rows of quiet tables, each once, raw; "
            f"{self.found_landed - landed} batches were found under way")

    def live(self, kills):
        stop = threading.Event()

        def change():
            n = self.rows // 2
            while not stop.is_set():
                n += 200
                self.sql(f"INSERT INTO live SELECT i, 1, repeat('g', 60) FROM generate_series({n}, {n + 199}) i;"
                         f"UPDATE live SET x = x + 1 WHERE id % 97 = {self.random.randrange(97)}")
                time.sleep(0.02)

        changer = threading.Thread(target=change)
        changer.start()
        try:
            done, report = self.kill_until_done(["live"], kills)
        finally:
            stop.set()
            changer.join()
        if report is None:
            fail(f"the live table was copied after {done} kills")
        if report["tables"][0]["consistent"]:
            fail(f"a copy of a table that was changed between the starts says it is of one point: {report}")
        # What the last start's point saw is there; what came after it is not part of the copy.
        self.sql("VACUUM live")
        point = report["tables"][0]["points"][-1].split(" ")[0]
        target = dict(line.split("\t") for line in self.clickhouse("SELECT id, x FROM live FINAL").split("\n"))
        source = dict(line.split("|") for line in self.sql("SELECT id, x FROM live").split("\n"))
        missing = [i for i in range(1, self.rows // 2 + 1) if str(i) not in target]
        newer = [i for i, x in target.items() if i not in source or int(source[i]) < int(x)]
        if missing or newer:
            fail(f"{len(missing)} keys are missing and {len(newer)} are newer than at the source, as of {point}")
        if int(self.clickhouse("SELECT count() - uniqExact(id) FROM live FINAL")) != 0:
            fail("a key is current twice")
        # Nothing changes any more: a copy begun anew is the table.
        final = self.snapshot(["live"], "--again")
        if not final["tables"][0]["consistent"]:
            fail(f"{final}")
        if self.clickhouse("SELECT count(), sum(id * 7 + x) FROM live FINAL").split("\t") != self.sql("SELECT count(*), sum(id * 7 + x) FROM live").split("|"):
            fail("a copy begun anew is not the table")
        say(f"snapshot: {kills} kills while the table grew and was updated: every key once, in a value that it had")

    def kafka(self, kills):
        topic = f"snapshot_{os.getpid()}"
        settings = {"KAFKA_BOOTSTRAP": os.environ["PGCH_TEST_KAFKA"], "KAFKA_TOPIC": topic, "PGCH_PIPELINE": "bykafka", "PGCH_TABLE_WHERE": f"id <= {self.rows // 5}"}
        done, report = self.kill_until_done(["keyless"], kills, settings)
        if report is None:
            say(f"snapshot: into Kafka it was done after {done} kills")
        out = subprocess.run(["kcat", "-q", "-C", "-b", os.environ["PGCH_TEST_KAFKA"], "-t", topic, "-e", "-o", "beginning", "-f", "%s\n"],
                             capture_output=True, text=True, timeout=120)
        ids = [json.loads(line)["id"] for line in out.stdout.splitlines()]
        if len(ids) != self.rows // 5 or len(set(ids)) != len(ids):
            fail(f"the topic holds {len(ids)} messages with {len(set(ids))} ids for {self.rows // 5} rows")
        say(f"snapshot: {done} kills into Kafka: {len(ids)} messages, each once")

    def errors(self):
        plan = self.snapshot(["keyed", "parted"], "--dry-run")
        if [t["table"] for t in plan["tables"]] != ["keyed", "parted"] or plan["tables"][1]["parts"] != 2 or "CREATE TABLE" not in plan["tables"][0]["ddl"]:
            fail(f"the plan is {plan}")
        self.snapshot(["keyless"], "--again", expect=2)  # it would double what is there
        self.snapshot(["keyed"], "--where", "id = 1", expect=2)  # begun with another condition
        self.snapshot(["nowhere"], expect=2)
        self.snapshot(["parted_*"], "--pipeline", "other", expect=2)  # partitions are copied with their table
        some = self.snapshot(["par*", "public.keyl*"], "--dry-run")
        if sorted(t["table"] for t in some["tables"]) != ["parted", "public.keyless"]:
            fail(f"the patterns became {some}")

    def run(self, kills):
        self.sql(f"CREATE DATABASE {self.database}", "postgres")
        self.sql(LOGINS.format(rows=self.rows))
        self.start_serve()
        self.quiet(kills)
        self.live(max(3, kills // 3))
        self.kafka(max(3, kills // 4))
        self.errors()
        say(f"snapshot: {self.killed} kills, batches found under way: {self.found_landed}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rows", type=int, default=300_000)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else int(time.time())
    say(f"snapshot: seed {seed}")
    threading.excepthook = lambda what: say(f"FAILED in a thread: {what.exc_value}")
    system = Snapshot(seed, args.rows)
    keep = True
    try:
        system.run(args.kills)
        keep = False
    finally:
        system.close(keep)


if __name__ == "__main__":
    sys.exit(main())
