#!/usr/bin/env python3
"""Ways of running that have promises of their own, end to end on real servers, with kills.

  modes.py shares|at_least_once|poll|notify|outbox [--kills N] [--seed N]

shares: two producers of one table, "1/2" and "2/2", with one state directory, one topic and one consumer; all three are killed with SIGKILL N
times at random moments. The topic and the target hold every row once, raw.

at_least_once: direct, one process, killed N times. No row is lost, and a row is at the target twice only if it was under way at a kill:
delivered, and not marked yet. Then by Kafka, both halves killed: no row is lost.

poll: three writers whose transactions end late, out of order or not at all; the process is killed N times. Every row is at the target once, raw. First direct with
the cursor in a file and updates renewed by setup's trigger, then by Kafka with the cursor in the database, both halves killed.

notify: the same, direct, woken by setup's trigger; then a running process gets all rows by notifications and by what it looks for after its sessions were ended.

outbox: direct, with setup's own outbox, while rows are added, changed, deleted and get other keys: in the end both sides are equal and no note is left.
Then by Kafka with the outbox of S4, which notes insertions only: the topic and the target hold every row once, raw.
"""
import os
import signal
import subprocess
import threading
import time

from systems import System, fail, parser_of, play, say

MARKED = "sent_to_kafka IS TRUE"


class Shares(System):
    SETTINGS = [{"PGCH_TABLE_SHARE": share} for share in ("1/2", "2/2")]

    def __init__(self, seed):
        super().__init__("s2", seed)

    def produce(self, settings):
        outside = self.env
        self.env = dict(outside, **settings)
        try:
            self.pgch("produce", "--once")
        finally:
            self.env = outside

    def transfer(self):
        for settings in self.SETTINGS:
            self.produce(settings)
        self.pgch("consume", "--once")

    def run(self, kills):
        self.prepare()
        self.add(2000)
        rows = self.source_rows()
        self.produce(self.SETTINGS[0])
        first = int(self.sql(f"SELECT count(*) FROM {self.table} WHERE {MARKED}"))
        if not rows / 4 < first < rows * 3 / 4 or self.topic_rows() != [first, first]:
            fail(f"the first of two shares took {first} of {rows} rows, and the topic holds {self.topic_rows()}")
        self.transfer()
        self.expect_equal("both shares")
        self.kills_under_load(kills, [("produce", settings) for settings in self.SETTINGS] + [("consume",)])
        self.transfer()
        self.expect_equal(f"after the kills {self.kills}")
        say(f"shares: batches found under way after a kill: {self.found_landed}")


class AtLeastOnce(System):
    """Direct: what may come twice can be told exactly, since the engine dies with the process."""

    def __init__(self, seed, system="direct"):
        super().__init__(system, seed)
        self.env["PGCH_DELIVERY"] = "at_least_once"
        self.may_double = {}

    def ids_at_target(self):
        rows = self.clickhouse(f"SELECT id, count() FROM {self.target} GROUP BY id").split("\n")
        return {int(i): int(n) for i, n in (row.split("\t") for row in rows if row)}

    def note_under_way(self):
        # PostgreSQL may still be at the dead process's last statement.
        deadline = time.monotonic() + 30
        while self.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgch%'") != "0":
            if time.monotonic() > deadline:
                fail("a session of a killed process did not end")
            time.sleep(0.02)
        # The target first: nobody fills it now, while rows are still being added to the source.
        there = self.ids_at_target()
        marked = {int(i) for i in self.sql(f"SELECT id FROM {self.table} WHERE {MARKED}").split()}
        for i in there.keys() - marked:
            self.may_double[i] = self.may_double.get(i, 0) + 1
        if lost := marked - there.keys():
            fail(f"{len(lost)} rows are marked and not at the target")

    def expect_none_lost(self, when):
        ids, there = {int(i) for i in self.sql(f"SELECT id FROM {self.table}").split()}, self.ids_at_target()
        unsent = self.sql(f"SELECT count(*) FROM {self.table} WHERE NOT ({MARKED})")
        if ids != there.keys() or unsent != "0":
            fail(f"{when}: {len(ids - there.keys())} of {len(ids)} rows are lost, {unsent} are not marked")
        say(f"at_least_once: {when}: {len(ids)} rows, none lost, {sum(n > 1 for n in there.values())} of them more than once")
        return there

    def run(self, kills):
        self.prepare()
        self.transfer()
        self.expect_equal("first transfer, at least once")
        self.kills_under_load(kills, [("run", None, self.note_under_way)])
        self.transfer()
        there = self.expect_none_lost(f"direct, after the kills {self.kills}")
        if wrong := [i for i, n in there.items() if n > 1 + self.may_double.get(i, 0)]:
            fail(f"{len(wrong)} rows are at the target more often than kills caught them under way; one has id {wrong[0]}")


class AtLeastOnceByKafka(AtLeastOnce):
    def __init__(self, seed):
        super().__init__(seed, "s2")

    def run(self, kills):
        self.prepare()
        self.add(2000)
        self.transfer()
        self.expect_equal("first transfer, at least once by Kafka")
        self.kills_under_load(kills)
        self.transfer()
        self.expect_none_lost(f"by Kafka, after the kills {self.kills}")


class Poll(System):
    """Rows come in an order that ids do not have, while the one who reads them is killed."""

    def __init__(self, seed, system="direct", store="file"):
        super().__init__(system, seed)
        self.env.update({"PGCH_TABLE_METHOD": "poll", "PGCH_TABLE_POLL_STORE": store, "PGCH_TABLE_EXCLUDE": "sent_to_kafka"})
        self.late = False

    def add(self, rows):
        if not self.late:
            return super().add(rows)
        ending = self.random.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"])
        self.sql(f"BEGIN; {self.insert.format(n=rows)}; SELECT pg_sleep({self.random.choice([0, 0.02, 0.3, 2])}); {ending}")

    def expect_equal(self, when):
        rows = self.source_rows()
        if self.topic and (got := self.topic_rows()) != [rows, rows]:
            fail(f"{when}: the topic holds {got[0]} messages with {got[1]} keys for {rows} rows")
        if (got := self.target_rows()) != [rows, rows]:
            fail(f"{when}: the target holds {got[0]} rows with {got[1]} ids for {rows} rows")
        self.pgch("verify")
        say(f"poll, {self.name}: {when}: {rows} rows, each once")

    def run(self, kills):
        self.prepare()
        self.pgch("check", expect=2)
        self.pgch("setup", "--apply")
        self.pgch("check")
        self.transfer()
        self.expect_equal("first transfer")
        self.transfer()
        self.expect_equal("second transfer, nothing new")
        self.add(3)
        self.transfer()
        self.expect_equal("three new rows")
        self.late, over = True, threading.Event()

        def write():
            while not over.is_set():
                self.add(self.random.choice([1, 30, 1000]))

        writers = [threading.Thread(target=write) for _ in range(2)]
        for t in writers:
            t.start()
        try:
            self.kills_under_load(kills)
        finally:
            over.set()
            for t in writers:
                t.join()
        self.transfer()
        self.expect_equal(f"after the kills {self.kills}")
        say(f"poll, {self.name}: rows found landed after a kill: {self.found_landed}")
        if self.name == "direct":
            self.updates()

    def updates(self):
        """With the trigger an update goes again, and replaces what was there."""
        self.env["PGCH_TABLE_POLL_UPDATES"] = "true"
        self.pgch("check", expect=2)
        self.pgch("setup", "--apply")
        self.sql(f"UPDATE {self.table} SET event_type = 'changed' WHERE id % 7 = 0")
        self.transfer()
        self.pgch("verify")
        say("poll, direct: updates arrived")


class Notify(Poll):
    """Woken by a trigger; the periodic look is so rare that rows which were missed would be missing."""

    def __init__(self, seed):
        super().__init__(seed)
        self.env.update({"PGCH_TABLE_METHOD": "notify", "PGCH_TABLE_NOTIFY_INTERVAL": "1h"})

    def run(self, kills):
        super().run(kills)
        child = subprocess.Popen(self.command("run"), env=self.env, cwd=self.work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for ending in ("", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"):
                if ending:
                    self.sql(ending)
                for _ in range(20):
                    self.add_one()
                    time.sleep(0.05)
            before = self.saved()
            self.add_one()
            deadline = time.monotonic() + 120
            while self.saved() == before:
                if time.monotonic() > deadline:
                    fail("no notification woke the process")
                time.sleep(0.1)
            # What is still under way when it is stopped is seen through.
            while (before := self.saved()) and (time.sleep(2) or self.saved() != before):
                pass
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(60)
        rows = self.source_rows()
        if (got := self.target_rows()) != [rows, rows]:
            fail(f"notifications brought {got} of {rows} rows")
        say(f"notify: {rows} rows, the last of them without a look of its own")

    def add_one(self):
        self.sql(self.insert.format(n=1))

    def saved(self):
        with open(os.path.join(self.work, "state", f"pgch.{self.table}.cursor"), "rb") as f:
            return f.read()


class PollByKafka(Poll):
    def __init__(self, seed):
        super().__init__(seed, "s2", "database")


class Outbox(System):
    """Rows of every age change while the one who moves them is killed."""

    CHANGES = ["UPDATE {t} SET event_type = 'changed' WHERE id % 17 = {n}", "DELETE FROM {t} WHERE id % 97 = {n}",
               "UPDATE {t} SET id = id + 1000000000 WHERE id < 1000000000 AND id % 89 = {n}"]

    def __init__(self, seed, system="direct"):
        super().__init__(system, seed)
        self.env.update({"PGCH_TABLE_METHOD": "outbox", "PGCH_TABLE_EXCLUDE": "sent_to_kafka"})
        self.outbox = self.table + "_outbox"

    def add(self, rows):
        super().add(rows)
        self.sql(self.random.choice(self.CHANGES).format(t=self.table, n=self.random.randrange(17)))

    def expect_equal(self, when):
        if (left := self.sql(f"SELECT count(*) FROM {self.outbox}")) != "0":
            fail(f"{when}: {left} notes are left")
        self.pgch("verify")
        say(f"outbox, {self.name}: {when}: {self.source_rows()} rows, equal on both sides")

    def set_up(self):
        self.pgch("check", expect=2)
        self.pgch("setup", "--apply")
        self.pgch("setup", "--apply")
        self.pgch("check")
        # Rows from before have no notes yet.
        self.sql(f"UPDATE {self.table} SET id = id")

    def run(self, kills):
        self.prepare()
        self.set_up()
        self.transfer()
        self.expect_equal("first transfer")
        self.transfer()
        self.expect_equal("second transfer, nothing new")
        self.add(3)
        self.transfer()
        self.expect_equal("a few changes")
        self.kills_under_load(kills)
        self.transfer()
        self.expect_equal(f"after the kills {self.kills}")
        say(f"outbox, {self.name}: batches found under way after a kill: {self.found_landed}")


class OutboxByKafka(Outbox):
    def __init__(self, seed):
        super().__init__(seed, "s2")
        self.env["PGCH_TABLE_OUTBOX"] = self.outbox = "events_table"

    def set_up(self):
        self.sql("CREATE TABLE events_table (id integer PRIMARY KEY, created_at timestamptz DEFAULT now());"
                 "CREATE FUNCTION log_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO events_table (id) VALUES (NEW.id) "
                 "ON CONFLICT DO NOTHING; RETURN NEW; END';"
                 f"CREATE TRIGGER trg_capture_insert AFTER INSERT ON {self.table} FOR EACH ROW EXECUTE FUNCTION log_event();"
                 f"INSERT INTO events_table (id) SELECT id FROM {self.table}")
        self.pgch("setup", "--apply")
        self.pgch("check")

    def add(self, rows):
        System.add(self, rows)

    def expect_equal(self, when):
        super().expect_equal(when)
        rows = self.source_rows()
        if (got := (self.topic_rows(), self.target_rows())) != ([rows, rows], [rows, rows]):
            fail(f"{when}: topic and target hold {got} messages or rows, and ids, for {rows} rows")


MODES = {"poll": [Poll, PollByKafka], "notify": [Notify], "outbox": [Outbox, OutboxByKafka], "shares": [Shares],
         "at_least_once": [AtLeastOnce, AtLeastOnceByKafka]}


def main():
    parser = parser_of(__doc__)
    parser.add_argument("mode", choices=MODES)
    args = parser.parse_args()
    say(f"{args.mode}: seed {args.seed}")
    for kind in MODES[args.mode]:
        play(kind(args.seed), args.kills)


if __name__ == "__main__":
    main()
