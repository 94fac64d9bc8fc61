"""Full disks: the journal's, the dead letters', the embedded engine's, that of `pgch serve`. When there is room again, pgch goes on by itself."""
import os
import subprocess
import time

from errors_world import DATABASE, Command, Failed, SmallDisk, case, count, expect_equal, expect_no_secret, make_topic, read_topic, send, wait_until

ROWS = 3000
BATCHES = ["--set", "batch.rows=500"]


def fill_source(w, rows=ROWS):
    w.table(rows=0)
    w.sql(f"INSERT INTO t SELECT i, md5(i::text) || md5(i::text || 'x') FROM generate_series(1, {rows}) i")


def expect_no_busy_loop(process):
    """It waits, longer and longer up to half a second, as configured here."""
    before, begun = count(process.said(), "trying again"), time.monotonic()
    time.sleep(2)
    tries = count(process.said(), "trying again") - before
    if tries > 20 * (time.monotonic() - begun):
        raise Failed(f"{tries} tries in two seconds:\n{process.said()}")


def expect_going_on(w, process, disk, to, words):
    """The disk is full, nothing is marked; there is room, and every row arrives, once."""
    wait_until(lambda: all(word in process.said() for word in words), f"it says {words}", process)
    expect_no_busy_loop(process)
    w.expect_unsent(ROWS)
    disk.free()
    wait_until(lambda: w.unsent() == 0, "it goes on when there is room", process)
    process.end()
    expect_no_secret(process.said())
    w.expect_once(to, ROWS)


@case
def a_full_disk_for_the_journal(w):
    """Full from the beginning, so that not even its header can be written."""
    fill_source(w)
    disk = SmallDisk(os.path.join(w.dir, "small.state"), "1m")
    there = [*w.fresh("journal")[:2], "--state", disk.path + "/state"]
    disk.fill()
    process = Command(w, "run", "--table", "t", *there, *BATCHES)
    expect_going_on(w, process, disk, there, ["No room left on the disk", "free some space"])
    # The journal is whole: a next run reads it.
    w.expect(0, "Done: 0 rows", "run", "--once", "--table", "t", *there)


@case
def a_disk_that_fills_up_under_the_journal(w):
    fill_source(w)
    disk = SmallDisk(os.path.join(w.dir, "small.later"), "1m")
    there = [*w.fresh("later")[:2], "--state", disk.path + "/state"]
    process = Command(w, "run", "--table", "t", *there, *BATCHES)
    wait_until(lambda: w.unsent() == 0, "the first rows are moved", process)
    # Within the journal's page there is always room: only batches beyond it find that there is none.
    disk.fill()
    moved = ROWS
    for _ in range(60):
        w.sql(f"INSERT INTO t SELECT i, 'n' FROM generate_series({moved + 1}, {moved + 10}) i")
        moved += 10
        time.sleep(0.1)
        if "No room left" in process.said():
            break
    wait_until(lambda: "No room left on the disk" in process.said(), "the journal's disk is full", process)
    expect_no_busy_loop(process)
    disk.free()
    wait_until(lambda: w.unsent() == 0, "it goes on when there is room", process)
    process.end()
    w.expect(0, "Done: 0 rows", "run", "--once", "--table", "t", *there)
    w.expect_once(there, moved)


@case
def a_full_disk_for_the_dead_letters(w):
    w.table()
    w.sql("INSERT INTO t VALUES (11, repeat('x', 2000000))")
    topic = f"full_{DATABASE}"
    disk = SmallDisk(os.path.join(w.dir, "small.dead"), "1m")  # no room for the dead letter, but for the journal
    process = Command(w, "produce", "--table", "t", *w.kafka(topic), "--state", disk.path + "/state")
    wait_until(lambda: "No room left on the disk" in process.said() and ".dead.jsonl" in process.said(), "the dead letter has no room", process)
    expect_no_busy_loop(process)
    w.expect_unsent(11)
    disk.enlarge("16m")
    wait_until(lambda: w.unsent() == 0, "it goes on when there is room", process)
    process.end(4)
    keys = [key for key, _, _ in read_topic(topic)]
    expect_equal((len(keys), len(set(keys))), (10, 10), "rows in the topic")


@case
def a_full_disk_for_the_embedded_engine(w):
    """Full before the table is made."""
    fill_source(w)
    disk = SmallDisk(os.path.join(w.dir, "small.engine"), "96m")
    there = ["--to", f"chdb://{disk.path}/data", *w.fresh("engine")[2:]]
    w.query(there, "SELECT 1")
    disk.fill()
    process = Command(w, "run", "--table", "t", *there, *BATCHES)
    expect_going_on(w, process, disk, there, ["The disk of ClickHouse is full", "free some space"])
    w.expect(0, f"equal: {ROWS:,} rows".replace(",", " "), "verify", "--table", "t", *there)


@case
def a_disk_that_fills_up_under_the_embedded_engine(w):
    """After the table was made; with nothing at all left, and with little."""
    fill_source(w)
    disk = SmallDisk(os.path.join(w.dir, "small.engine2"), "96m")
    there = ["--to", f"chdb://{disk.path}/data", *w.fresh("engine2")[2:]]
    w.expect(0, "Done: 3 000 rows", "run", "--once", "--table", "t", *there)
    for leave in (0, 50_000, 1 << 20):
        fill_source(w)
        w.query(there, "TRUNCATE TABLE t")
        disk.fill(leave)
        process = Command(w, "run", "--table", "t", *there, *BATCHES)
        expect_going_on(w, process, disk, there, ["The disk of ClickHouse is full"])


@case
def a_full_disk_for_pgch_serve(w):
    fill_source(w)
    disk = SmallDisk(os.path.join(w.dir, "small.serve"), "96m")
    server, url = w.serve(disk.path + "/data")
    disk.fill()
    there = ["--to", url, "--state", os.path.join(w.dir, "serve.state")]
    process = Command(w, "run", "--table", "t", *there, *BATCHES)
    expect_going_on(w, process, disk, there, ["The disk of ClickHouse is full"])
    # And once the table is there.
    w.sql("UPDATE t SET sent_to_kafka = FALSE")
    w.query(there, "TRUNCATE TABLE t")
    disk.fill(100_000)
    process = Command(w, "run", "--table", "t", *there, *BATCHES)
    expect_going_on(w, process, disk, there, ["The disk of ClickHouse is full"])
    server.end()
    # What was acknowledged is on disk, not in the engine's memory alone.
    server, url = w.serve(disk.path + "/data")
    w.expect_once(["--to", url], ROWS)
    server.end()


@case
def a_full_disk_behind_kafka(w):
    """The consumer waits; its messages stay where they are."""
    topic = f"behind_{DATABASE}"
    make_topic(topic)
    for i in range(20):
        send(topic, f'{{"id": {i}, "note": "n{i}"}}'.encode(), str(i))
    disk = SmallDisk(os.path.join(w.dir, "small.behind"), "96m")
    there = ["--to", f"chdb://{disk.path}/data", *w.fresh("behind")[2:]]
    w.query(there, "SELECT 1")
    disk.fill()
    arguments = ["consume", "--table", "t", *w.kafka(topic), "--set", "table.types=id Int32,note Nullable(String)", "--set", "table.key=id", *there]
    process = Command(w, *arguments)
    wait_until(lambda: "The disk of ClickHouse is full" in process.said(), "the consumer finds the disk full", process)
    expect_no_busy_loop(process)
    disk.free()
    time.sleep(1)
    process.end()
    w.pgch(*arguments, "--once")
    w.expect_once(there, 20)


# chDB takes no notice of a write that failed: so one is made to fail while a part is being written, by a library that is loaded before the C library.
FAILING_WRITES = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int fails(int fd) {
  char link[64], name[4096];
  const char* flag = getenv("WRITES_FAIL_WHILE");
  if (!flag || access(flag, F_OK) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, name, sizeof name - 1);
  if (n <= 0) return 0;
  name[n] = 0;
  return strstr(name, "/tmp_insert_") != NULL;
}
ssize_t write(int fd, const void* p, size_t n) {
  static ssize_t (*real)(int, const void*, size_t);
  if (!real) real = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  if (fails(fd)) { errno = ENOSPC; return -1; }
  return real(fd, p, n);
}
"""


@case
def a_disk_that_fills_up_while_a_part_is_written(w):
    fill_source(w)
    source, library, flag = (os.path.join(w.dir, name) for name in ("writes.c", "writes.so", "writes.fail"))
    with open(source, "w", encoding="ascii") as file:
        file.write(FAILING_WRITES)
    built = subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], capture_output=True, text=True)
    if built.returncode:
        raise Failed(built.stderr)
    disk = SmallDisk(os.path.join(w.dir, "small.part"), "160m")
    failing = {"LD_PRELOAD": library, "WRITES_FAIL_WHILE": flag}
    there = ["--to", f"chdb://{disk.path}/data", *w.fresh("part")[2:]]
    open(flag, "w").close()
    process = Command(w, "run", "--table", "t", *there, *BATCHES, env=failing)
    wait_until(lambda: "The disk of ClickHouse is full" in process.said(), "the part is found spoilt", process)
    w.expect_unsent(ROWS)
    os.unlink(flag)
    wait_until(lambda: w.unsent() == 0, "it goes on", process)
    process.end()
    w.expect_once(there, ROWS)
    # The same behind HTTP.
    w.sql("UPDATE t SET sent_to_kafka = FALSE")
    w.query(there, "DROP TABLE t SYNC")
    server, url = w.serve(disk.path + "/data", env=failing)
    open(flag, "w").close()
    there = ["--to", url, "--state", os.path.join(w.dir, "part.serve")]
    process = Command(w, "run", "--table", "t", *there, *BATCHES)
    wait_until(lambda: "The disk of ClickHouse is full" in process.said(), "the part is found spoilt by pgch serve", process)
    w.expect_unsent(ROWS)
    os.unlink(flag)
    wait_until(lambda: w.unsent() == 0, "it goes on", process)
    process.end()
    server.end()
    server, url = w.serve(disk.path + "/data")
    w.expect_once(["--to", url], ROWS)
    server.end()
