#!/usr/bin/env python3
"""pgch snapshot end to end on real servers, killed again and again.

  snapshot.py [--kills N] [--seed N] [--rows N]

Quiet tables (one with a key, one without, one partitioned) are copied over two connections into `pgch serve` and, by Kafka's producing half, into a
topic; the process is killed with SIGKILL N times at random moments: raw counts are exact, nothing is lost, nothing is there twice, and it says
that the copy is of one point. Then a table that grows and is updated all the while: each key of the source is there, in its last value. Then a
rewritten table, a second start, --again and --dry-run.
"""
import json
import os
import signal
import subprocess
import threading
import time

from systems import System, fail, parser_of, play, say

# Made anew for each round: how many starts it takes to copy them depends on the machine, how many are killed must not.
QUIET = """
CREATE TABLE {prefix}keyed (id bigint PRIMARY KEY, user_id int NOT NULL, username text NOT NULL, event_time timestamptz NOT NULL, payload jsonb);
INSERT INTO {prefix}keyed SELECT i, i % 1000, 'user_' || i, timestamptz '2024-01-01' + i * interval '1 second', jsonb_build_object('n', i)
  FROM generate_series(1, {rows}) i;
CREATE TABLE {prefix}keyless (id bigint, note text);
INSERT INTO {prefix}keyless SELECT i, CASE WHEN i % 5000 = 0 THEN repeat('long', 5000) ELSE 'n' || i END FROM generate_series(1, {rows}) i;
CREATE TABLE {prefix}parted (id bigint, part int, x text) PARTITION BY LIST (part);
CREATE TABLE {prefix}parted_0 PARTITION OF {prefix}parted FOR VALUES IN (0);
CREATE TABLE {prefix}parted_1 PARTITION OF {prefix}parted FOR VALUES IN (1, 2);
INSERT INTO {prefix}parted SELECT i, i % 3, 'x' || i FROM generate_series(1, {rows} / 4) i;
VACUUM ANALYZE {prefix}keyed, {prefix}keyless, {prefix}parted;
"""
LIVE = """
CREATE TABLE {prefix}live (id bigint PRIMARY KEY, x int NOT NULL, filler text) WITH (fillfactor = 70);
INSERT INTO {prefix}live SELECT i, 0, repeat('f', 60) FROM generate_series(0, {rows} / 2) i;
VACUUM ANALYZE {prefix}live;
"""


class Snapshot(System):
    def __init__(self, seed, rows):
        super().__init__("direct", seed)
        self.rows = rows
        self.env["PGCH_BATCH_ROWS"] = "4000"
        self.killed = 0
        self.resumed = 0

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
        """Kills each start at a random moment, at most `times` in all, until one ends; the kills there were, and the report of the one that ended."""
        command = self.command("snapshot", "--json", "--connections", "2", *[f"--table={t}" for t in tables])
        # What a start takes before it copies, on this machine as busy as it is: most kills come after that.
        began = time.monotonic()
        self.snapshot(tables, "--dry-run", settings=settings)
        start = time.monotonic() - began
        for kills in range(times):
            with open(os.path.join(self.work, "snapshot.log"), "w+") as log, open(os.path.join(self.work, "snapshot.json"), "w+") as report:
                child = subprocess.Popen(command, stdout=report, stderr=log, env=dict(self.env, **(settings or {})), cwd=self.work)
                time.sleep(self.random.choice([0, start, start]) + self.random.uniform(0.05, 0.25 + 0.05 * self.random.choice([1, 3, 10])))
                ended = child.poll()
                child.send_signal(signal.SIGKILL)
                child.wait()
                log.seek(0)
                text = log.read()
                self.note(text)
                if ended is not None and ended != 0:
                    fail(f"a start ended by itself with {ended}: {text[-3000:]}")
                if ended == 0:
                    report.seek(0)
                    return kills, json.loads(report.readline())
            self.killed += 1
        return times, self.snapshot(tables, settings=settings)

    def expect_raw(self, table, rows):
        got = self.clickhouse(f"SELECT count(), uniqExact(id), sum(id) FROM {table}").split("\t")
        wanted = self.sql(f"SELECT count(*), count(DISTINCT id), sum(id) FROM {table}").split("|")
        if got != wanted or int(got[0]) != rows:
            fail(f"{table} has count, ids, sum {got} at the target and {wanted} at the source")

    def rounds(self, kills, what, enough=lambda: True):
        """Calls what(prefix, kills still wanted), which says how many it came to, until there were enough: a fast machine needs more rounds."""
        done = 0
        count = 0
        while done < kills or not enough():
            done += what(f"r{count}_" if count else "", max(kills - done, 2))
            count += 1
            if count > 5 * kills:
                fail(f"after {count} rounds there were {done} kills of {kills}: the copies end before they can be killed in the middle (--rows)")
        return done, count

    def quiet(self, prefix, kills):
        self.sql(QUIET.format(rows=self.rows, prefix=prefix))
        tables = [f"{prefix}{t}" for t in ("keyed", "keyless", "parted")]
        done, report = self.kill_until_done(tables, kills)
        if report["status"] != "done" or not all(t["consistent"] for t in report["tables"]):
            fail(f"the report of a copy of quiet tables is {report}")
        for table, rows in zip(tables, (self.rows, self.rows, self.rows // 4)):
            self.expect_raw(table, rows)
        again = self.snapshot(tables)
        if [t["status"] for t in again["tables"]] != ["already"] * 3 or again["rows"] != 0:
            fail(f"a second start copied something: {again}")
        return done

    def live(self, prefix, kills):
        self.sql(LIVE.format(rows=self.rows, prefix=prefix))
        live = f"{prefix}live"
        stop = threading.Event()

        def change():
            n = self.rows // 2 + 1 - 200
            while not stop.is_set():
                n += 200
                # As of any one point the sum of x is 0: row 0 takes off what the others get.
                self.sql(f"WITH i AS (INSERT INTO {live} SELECT i, 1, repeat('g', 60) FROM generate_series({n}, {n + 199}) i RETURNING 1),"
                         f" u AS (UPDATE {live} SET x = x + 1 WHERE id > 0 AND id % 97 = {self.random.randrange(97)} RETURNING 1)"
                         f" UPDATE {live} SET x = x - (SELECT count(*) FROM i) - (SELECT count(*) FROM u) WHERE id = 0")
                time.sleep(0.02)

        changer = threading.Thread(target=change)
        changer.start()
        try:
            done, report = self.kill_until_done([live], kills)
        finally:
            stop.set()
            changer.join()
        table = report["tables"][0]
        total = int(self.clickhouse(f"SELECT sum(x) FROM {live} FINAL"))
        if table["consistent"] and total != 0:
            fail(f"it says that the copy is of one point, and the sum of x is {total}: {report}")
        if not table["consistent"] and len(table["points"]) == 1:
            fail(f"it has one point and says that it is not of one: {report}")
        self.resumed += not table["consistent"]
        # What the last start's point saw is there; what came after it is not part of the copy.
        self.sql(f"VACUUM {live}")
        point = table["points"][-1].split(" ")[0]
        target = dict(line.split("\t") for line in self.clickhouse(f"SELECT id, x FROM {live} FINAL").split("\n"))
        source = dict(line.split("|") for line in self.sql(f"SELECT id, x FROM {live}").split("\n"))
        missing = [i for i in range(self.rows // 2 + 1) if str(i) not in target]
        newer = [i for i, x in target.items() if i not in source or (int(source[i]) < int(x) and i != "0")]
        if missing or newer:
            fail(f"{len(missing)} keys are missing and {len(newer)} are newer than at the source, as of {point}")
        if int(self.clickhouse(f"SELECT count() - uniqExact(id) FROM {live} FINAL")) != 0:
            fail("a key is current twice")
        # Nothing changes any more: a copy begun anew is the table.
        final = self.snapshot([live], "--again")
        if not final["tables"][0]["consistent"]:
            fail(f"{final}")
        if self.clickhouse(f"SELECT count(), sum(id * 7 + x) FROM {live} FINAL").split("\t") != self.sql(f"SELECT count(*), sum(id * 7 + x) FROM {live}").split("|"):
            fail("a copy begun anew is not the table")
        return done

    def kafka(self, kills):
        topic = f"snapshot_{os.getpid()}"
        settings = {"KAFKA_BOOTSTRAP": os.environ["PGCH_TEST_KAFKA"], "KAFKA_TOPIC": topic, "PGCH_PIPELINE": "bykafka", "PGCH_TABLE_WHERE": f"id <= {self.rows // 5}"}
        done, _ = self.kill_until_done(["keyless"], kills, settings)
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
        self.snapshot(["keyed"], "--target", "elsewhere", expect=2)  # … into another target
        self.snapshot(["keyless"], "--state", os.path.join(self.work, "other-state"), expect=2)  # it would double what is there
        self.clickhouse("DROP TABLE keyed")
        self.snapshot(["keyed"], expect=2)  # what was copied is gone
        again = self.snapshot(["keyed"], "--again")
        if again["rows"] != self.rows:
            fail(f"{again}")
        self.snapshot(["nowhere"], expect=2)
        self.snapshot(["parted_*"], "--pipeline", "other", expect=2)  # partitions are copied with their table
        some = self.snapshot(["par*", "public.keyl*"], "--dry-run")
        if sorted(t["table"] for t in some["tables"]) != ["parted", "public.keyless"]:
            fail(f"the patterns became {some}")

    def run(self, kills):
        self.sql(f"CREATE DATABASE {self.database}", "postgres")
        self.start_serve()
        done, rounds = self.rounds(kills, self.quiet)
        say(f"snapshot: {done} kills in {rounds} copies of {2 * self.rows + self.rows // 4} rows of quiet tables: each row once, raw; "
            f"{self.found_landed} batches were found under way")
        done, rounds = self.rounds(max(3, kills // 3), self.live, lambda: self.resumed > 0)
        say(f"snapshot: {done} kills in {rounds} copies of a table that grew and was updated, {self.resumed} of them of several points: every key once, "
            "in a value that it had")
        self.kafka(max(3, kills // 4))
        self.errors()
        say(f"snapshot: {self.killed} kills, batches found under way: {self.found_landed}")


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    args = parser.parse_args()
    say(f"snapshot: seed {args.seed}")
    play(Snapshot(args.seed, args.rows), args.kills)


if __name__ == "__main__":
    main()
