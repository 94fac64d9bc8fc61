#!/usr/bin/env python3
"""`pgch dlq` on real servers: dead letters are listed, shown, replayed and dropped, each once, also when the replay is killed.

  dead_letters.py [--kills N] [NAME]…      NAME: a part of a case's name
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

from errors_world import BROKER, CASES, DATABASE, PGCH, Failed, World, case, expect_equal, read_topic, send_lines

KILLS = 8


def listed(w, *arguments):
    return json.loads(w.expect(0, "", "dlq", "list", "--json", "--max", "100000", *arguments).stdout)


def consumer(w, topic, types='"id Int64", "day Date32"', target="t"):
    path = os.path.join(w.dir, f"{topic}.{time.monotonic_ns()}.toml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'[[table]]\nname = "t"\ntarget = "{target}"\ntypes = [{types}]\nkey = ["id"]\n')
    return ["-c", path, "--kafka", BROKER, "--topic", topic, "--group", topic]


@case
def letters_of_a_topic_are_replayed_once_when_the_target_is_mended(w):
    topic, there = f"mended_{DATABASE}", w.fresh("a")
    # A plain table: what came twice would be seen.
    w.expect(0, "", "query", *there[:2], "CREATE TABLE t (id Int64, day Date) ENGINE = MergeTree ORDER BY id")
    arguments = consumer(w, topic) + there
    w.expect(0, "", "consume", "--once", *arguments)  # makes the topic
    expect_equal(listed(w, *arguments), [], "letters before there are any")
    rows = [json.dumps({"id": i, "day": "1900-01-01" if i % 3 == 0 else "2024-01-01"}) for i in range(1, 61)]
    send_lines(topic, rows + ['{"id": "x"}', '{"nonsense": 1}'])
    w.expect(4, "22 messages", "consume", "--once", *arguments)
    letters = listed(w, *arguments)
    expect_equal(len(letters), 22, "letters")
    expect_equal(sum("Date" in one["reason"] for one in letters), 20, "letters that name the column's type")
    if any("1900" in json.dumps(one) for one in letters):
        raise Failed("a value is shown without --show-values")
    first = next(one["place"] for one in letters if "Date" in one["reason"])
    out = w.expect(0, [first, "reason"], "dlq", "show", first, *arguments)
    if "1900" in out.stdout:
        raise Failed("show shows a value without --show-values:\n" + out.stdout)
    w.expect(0, ["payload"], "dlq", "show", first, "--show-values", *arguments)
    w.expect(0, ["20  ", "22 dead letters of table t"], "dlq", "list", "--max", "3", *arguments)
    # Nothing is done without saying which, or of a place that is none.
    w.expect(2, "--all", "dlq", "replay", *arguments)
    w.expect(2, "no dead letter", "dlq", "replay", first, f"{topic}/0@999", *arguments)
    w.expect(2, "--yes", "dlq", "drop", "--all", *arguments)
    expect_equal(len(listed(w, *arguments)), 22, "letters after refusals")
    junk = [one["place"] for one in letters if "Date" not in one["reason"]]
    w.expect(0, "2 dead letters dropped", "dlq", "drop", *junk, "--yes", *arguments)
    # Mended, and replayed: each row is there once.
    w.expect(0, "", "query", *there[:2], "ALTER TABLE t MODIFY COLUMN day Date32")
    w.expect(0, "1 dead letter replayed", "dlq", "replay", "--reason", "Date", first, *arguments)
    w.expect(2, "no dead letter", "dlq", "replay", first, *arguments)
    w.expect(0, "19 dead letters replayed", "dlq", "replay", "--all", *arguments)
    w.expect(0, "Done: 20 rows", "consume", "--once", *arguments)
    expect_equal(w.query(there, "SELECT count(), uniqExact(id), countIf(day < '1970-01-01') FROM t"), "60\t60\t20", "rows")
    expect_equal(listed(w, *arguments), [], "letters after all were dealt with")
    w.expect(0, "Done: 0 rows", "consume", "--once", *arguments)
    facts = json.loads(w.pgch("status", "--json", *arguments).stdout)[0]
    expect_equal((facts["dead_letters"], facts["lag"]), (0, 0), "dead letters and lag that status counts")


@case
def a_killed_replay_sends_each_message_once(w):
    topic, there, count = f"killed_{DATABASE}", w.fresh("b"), 10_000
    w.expect(0, "", "query", *there[:2], "CREATE TABLE t (id Int64, day Date) ENGINE = MergeTree ORDER BY id")
    arguments = consumer(w, topic) + there
    w.expect(0, "", "consume", "--once", *arguments)
    # A field that nobody knows; good ones between, since a topic of nothing but junk would stop the consumer.
    send_lines(topic, [json.dumps({"id": i, "day": "2024-01-01", **({"new": 1} if i % 50 else {})}) for i in range(count)])
    w.expect(4, "", "consume", "--once", "-q", *arguments)
    letters = count - count // 50
    begin = time.monotonic()
    expect_equal(len(listed(w, *arguments)), letters, "letters")
    a_look = time.monotonic() - begin
    killed, left = 0, []
    for _ in range(KILLS):
        child = subprocess.Popen([PGCH, "dlq", "replay", "--all", *arguments], env=w.env, cwd=w.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(1, 6) * a_look)
        killed += child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
        left.append(len(listed(w, *arguments)))
    w.expect(0, "", "dlq", "replay", "--all", *arguments)
    expect_equal(listed(w, *arguments), [], "letters")
    w.expect(0, "Done: 9 800 rows", "consume", "--once", "--set", "kafka.ignore_unknown_fields=true", *arguments)
    w.expect_once(there, count)
    print(f"        {killed} replays killed, letters left after each: {left}", flush=True)


@case
def a_replayed_message_keeps_its_version_and_its_headers(w):
    topic, there = f"version_{DATABASE}", w.fresh("c")
    w.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, day date, sent_to_kafka BOOLEAN DEFAULT FALSE); INSERT INTO t VALUES (1, '1900-01-01'), (2, '2024-01-01')")
    w.expect(0, "", "query", *there[:2], "CREATE TABLE t (id Int32, day Nullable(Date), _version UInt64, _deleted UInt8) "
             "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")
    arguments = consumer(w, topic, '"id Int32", "day Nullable(Date32)"') + there
    w.expect(0, "", "produce", "--once", "--table", "t", *arguments[:-4], "--state", there[3])
    w.expect(4, "", "consume", "--once", *arguments)
    # A newer version of the row arrives first: the older one must not come over it.
    w.sql("UPDATE t SET day = '2024-05-05', sent_to_kafka = FALSE WHERE id = 1")
    w.expect(0, "", "produce", "--once", "--table", "t", *arguments[:-4], "--state", there[3])
    w.expect(0, "Done: 1 row", "consume", "--once", *arguments)
    w.expect(0, "", "query", *there[:2], "ALTER TABLE t MODIFY COLUMN day Nullable(Date32)")
    w.expect(0, "1 dead letter replayed", "dlq", "replay", "--all", *arguments)
    w.expect(0, "Done: 1 row", "consume", "--once", *arguments)
    expect_equal(w.query(there, "SELECT id, day FROM t FINAL ORDER BY id"), "1\t2024-05-05\n2\t2024-01-01", "current rows")
    again = [headers for _, _, headers in read_topic(topic) if "pgch-replay-of" in headers]
    if len(again) != 1 or "pgch-version" not in again[0] or "pgch-seq" in again[0]:
        raise Failed(f"headers of the replayed message: {again}")


@case
def letters_of_a_file_are_replayed_from_the_source(w):
    for method in ("flag", "poll", "outbox"):
        there = w.fresh("d-" + method)
        flag = ", sent_to_kafka BOOLEAN DEFAULT FALSE" if method == "flag" else ""
        w.sql(f"DROP TABLE IF EXISTS t_outbox, t; CREATE TABLE t (id int PRIMARY KEY, name text, day date, at timestamptz{flag})")
        arguments = ["--table", "t", "--method", method, *there]
        w.expect(0, "", "setup", "--apply", "--table", "t", "--method", method, *there)
        w.expect(0, "", "query", *there[:2], "DROP TABLE IF EXISTS t; CREATE TABLE t (id Int32, name Nullable(String), day Nullable(Date), at Nullable(DateTime64(6, 'UTC')), "
                 "_version UInt64, _deleted UInt8) ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")
        w.sql("INSERT INTO t (id, name, day, at) VALUES (1, 'a', '2024-01-01', now()), (2, 'b', 'infinity', now()), (3, 'c', '1900-01-01', now()), (4, 'd', NULL, 'infinity')")
        w.expect(4, "", "run", "--once", *arguments)
        letters = listed(w, *arguments)
        expect_equal(len(letters), 3, f"{method}: letters")
        if any(one["time"] is None for one in letters):
            raise Failed(f"{method}: a letter without a time: {letters}")
        # Mended in the source, or at the target; one row is gone, and one is as bad as it was.
        w.sql("UPDATE t SET day = '2024-02-02' WHERE id = 2; DELETE FROM t WHERE id = 4" + ("; DELETE FROM t_outbox" if method == "outbox" else ""))
        w.expect(0, "", "query", *there[:2], "ALTER TABLE t MODIFY COLUMN day Nullable(Date32)")
        w.expect(1, ["2 dead letters replayed, 1 left", "is not in table t any more"], "dlq", "replay", "--all", *arguments)
        w.expect(0, "Done: 2 rows", "run", "--once", *arguments)
        expect_equal(w.query(there, "SELECT id, day FROM t FINAL ORDER BY id"), "1\t2024-01-01\n2\t2024-02-02\n3\t1900-01-01", f"{method}: rows")
        left = listed(w, *arguments)
        expect_equal(len(left), 1, f"{method}: letters left")
        w.expect(0, "1 dead letter dropped", "dlq", "drop", "--yes", left[0]["place"], *arguments)
        w.expect(0, "no dead letters", "dlq", "list", *arguments)


@case
def a_row_of_a_block_is_not_replayed_with_the_rows_around_it(w):
    topic, there = f"block_{DATABASE}", w.fresh("e")
    w.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, day date, sent_to_kafka BOOLEAN DEFAULT FALSE); "
          "INSERT INTO t SELECT i, CASE WHEN i = 7 THEN date '1900-01-01' ELSE date '2024-01-01' END FROM generate_series(1, 20) i")
    w.expect(0, "", "query", *there[:2], "CREATE TABLE t (id Int32, day Nullable(Date)) ENGINE = MergeTree ORDER BY id")
    arguments = consumer(w, topic, '"id Int32", "day Nullable(Date32)"') + ["--set", "kafka.format=native", *there]
    w.expect(0, "", "produce", "--once", "--table", "t", *arguments[:-4], "--state", there[3])
    w.expect(4, "1 message", "consume", "--once", *arguments)
    w.expect(0, "", "query", *there[:2], "ALTER TABLE t MODIFY COLUMN day Nullable(Date32)")
    w.expect(1, "other rows", "dlq", "replay", "--all", *arguments)
    w.expect(0, "Done: 0 rows", "consume", "--once", *arguments)
    w.expect(0, "", "repair", "--table", "t", *there)
    w.expect_once(there, 20)
    expect_equal(len(listed(w, *arguments)), 1, "letters left")


def main():
    global KILLS
    arguments = sys.argv[1:]
    if arguments[:1] == ["--kills"]:
        KILLS = int(arguments[1])
        arguments = arguments[2:]
    world = World()
    world.sql(f"CREATE DATABASE {DATABASE}", "postgres")
    failed = []
    chosen = [c for c in CASES if not arguments or any(part in c[0] for part in arguments)]
    try:
        for name, function in chosen:
            try:
                function(world)
                print("ok      " + name, flush=True)
            except (Failed, OSError, subprocess.SubprocessError) as problem:
                failed.append(name)
                print(f"FAILED  {name}\n{problem}", flush=True)
            world.end_case()
    finally:
        world.close()
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed")
    sys.exit(1 if failed or not chosen else 0)


main()
