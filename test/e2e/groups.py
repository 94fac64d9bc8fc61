#!/usr/bin/env python3
"""Consumer groups on real servers: several at once each get all events, and `pgch replay` has one begin somewhere else.

  groups.py [NAME]…      NAME: a part of a case's name
"""
import json
import os
import subprocess
import sys
import time

from errors_world import BROKER, CASES, DATABASE, Command, Failed, World, case, expect_equal, wait_until

ROWS = "INSERT INTO t SELECT i, 'n' || i FROM generate_series({}, {}) i"


def configured(w, topic, group, session="6000"):
    path = os.path.join(w.dir, f"{topic}.{group}.toml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'[kafka.librdkafka]\n"session.timeout.ms" = "{session}"\n[batch]\nrows = 100\n')
    return ["-c", path, "--table", "t", "--kafka", BROKER, "--topic", topic, "--group", group]


def produce(w, topic, first, last, state):
    w.sql(ROWS.format(first, last))
    w.expect(0, "", "produce", "--once", "--table", "t", "--kafka", BROKER, "--topic", topic, "--state", os.path.join(w.dir, state))


def raw(w, to):
    return w.query(to, "SELECT count(), uniqExact(id) FROM t")


@case
def several_groups_at_once_each_get_all_events(w):
    topic = f"several_{DATABASE}"
    w.table(rows=0)
    produce(w, topic, 1, 2000, "several")
    groups = {}
    for i in range(3):
        to = w.fresh(f"several{i}")
        groups[i] = (to, Command(w, "consume", *configured(w, topic, f"{topic}-{i}"), *to))
    # A group of two members as well.
    server, url = w.serve(os.path.join(w.dir, "shared"))
    pair = [Command(w, "consume", *configured(w, topic, topic + "-pair"), "--to", url, "--state", w.dir + f"/pair{i}") for i in range(2)]
    for n in range(2, 12):
        produce(w, topic, n * 1000 + 1, n * 1000 + 1000, "several")
    everything = 12_000
    wait_until(lambda: w.pgch("query", "--to", url, "--format", "TSV", "SELECT count() FROM t").stdout.strip() == str(everything), "the group of two has everything", pair[0])
    for i in range(3):
        flags = configured(w, topic, f"{topic}-{i}") + ["--to", url]
        wait_until(lambda: json.loads(w.pgch("status", "--json", *flags).stdout)[0]["lag"] == 0, "the group has read everything", groups[i][1])
    for to, process in groups.values():
        process.end()
        w.expect_once(to, everything)
    for process in pair:
        process.end()
    expect_equal(raw(w, ["--to", url]), f"{everything}\t{everything}", "rows of the group of two")
    server.end()


@case
def a_group_begins_where_replay_says(w):
    topic = f"begins_{DATABASE}"
    w.table(rows=0)
    produce(w, topic, 1, 1000, "begins")
    time.sleep(1.1)  # --time has seconds
    between = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    time.sleep(1.1)
    produce(w, topic, 1001, 1500, "begins")
    first = w.fresh("begins1")
    arguments = configured(w, topic, topic)
    w.expect(0, "Done: 1 500 rows", "consume", "--once", *arguments, *first)
    # From the beginning, into another target: everything, though the group had seen each producer's sequence.
    w.expect(0, ["again", "Nothing was changed"], "replay", "--from-beginning", "--dry-run", *arguments)
    w.expect(0, "Done: 0 rows", "consume", "--once", *arguments, *first)
    w.expect(0, "again", "replay", "--from-beginning", *arguments)
    second = w.fresh("begins2")
    w.expect(0, "Done: 1 500 rows", "consume", "--once", *arguments, *second)
    w.expect_once(second, 1500)
    # From a time, into the same target: stored twice, current once.
    w.expect(0, "again", "replay", "--time", between, *arguments)
    w.expect(0, "Done: 500 rows", "consume", "--once", *arguments, *second)
    expect_equal(w.query(second, "SELECT count(), uniqExact(id) FROM t FINAL"), "1500\t1500", "current rows")
    # A new group begins there, too, and not where it would by itself.
    third = w.fresh("begins3")
    fresh = configured(w, topic, topic + "-new")
    w.expect(0, "begins at", "replay", "--time", between, *fresh)
    w.expect(0, "Done: 500 rows", "consume", "--once", *fresh, *third)
    w.expect_once(third, 500)
    # By offset: the other partitions stay.
    ends = {one["partition"]: one["end"] for one in json.loads(w.expect(0, "", "replay", "--from-beginning", "--dry-run", "--json", *arguments).stdout)}
    w.expect(0, "10 offsets again", "replay", "--offset", f"0:{ends[0] - 10}", *arguments)
    w.expect(0, "Done: 10 rows", "consume", "--once", *arguments, *w.fresh("begins4"))
    # What would lose rows is refused.
    produce(w, topic, 1501, 1600, "begins")
    w.expect(2, "--skip", "replay", "--time", "2100-01-01", *arguments)
    w.expect(0, "Done: 100 rows", "consume", "--once", *arguments, *second)
    produce(w, topic, 1601, 1650, "begins")
    w.expect(0, "never delivered", "replay", "--time", "2100-01-01", "--skip", *arguments)
    w.expect(0, "Done: 0 rows", "consume", "--once", *arguments, *second)
    for wrong in (["--offset", "0:999999999"], ["--offset", "77:0"], ["--offset", "0"], ["--time", "yesterday"], ["--time", "2026-02-31"], [],
                  ["--from-beginning", "--offset", "0:0"]):
        w.expect(2, "", "replay", *wrong, *arguments)


@case
def replay_is_refused_while_the_group_lives_or_a_batch_is_under_way(w):
    topic = f"alive_{DATABASE}"
    w.table(rows=0)
    produce(w, topic, 1, 500, "alive")
    data = os.path.join(w.dir, "alive-data")
    server, url = w.serve(data)
    arguments = configured(w, topic, topic) + ["--to", url, "--state", w.dir + "/alive-state"]
    consumer = Command(w, "consume", *arguments)
    wait_until(lambda: "500" in w.pgch("query", "--to", url, "SELECT count() FROM t").stdout, "rows arrive", consumer)
    w.expect(1, "has 1 member", "replay", "--from-beginning", *arguments)
    # A batch is begun that can't be stored; then the consumer is killed.
    server.kill()
    server.wait()
    produce(w, topic, 501, 600, "alive")
    wait_until(lambda: "trying again" in consumer.said(), "the load fails", consumer)
    consumer.kill()
    consumer.wait()
    wait_until(lambda: "has 1 member" not in w.pgch("replay", "--from-beginning", "--dry-run", *arguments).stderr, "the killed member is gone")
    w.expect(1, "under way", "replay", "--time", "2100-01-01", "--skip", *arguments)
    # Before the batch: it comes again anyhow.
    w.expect(0, "again", "replay", "--from-beginning", *arguments)
    to = w.fresh("alive2")
    w.expect(0, "Done: 600 rows", "consume", "--once", *configured(w, topic, topic), *to)
    w.expect_once(to, 600)


def main():
    arguments = sys.argv[1:]
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
