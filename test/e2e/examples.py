#!/usr/bin/env python3
"""The example programs on real servers: each is killed with SIGKILL in the middle, started again, and has every row once.

  examples.py custom_loader|embedded_in_a_service     PGCH_EXAMPLES: the folder of the built programs

What is checked is what they print, too: they are there to be copied.
"""
import collections
import os
import re
import signal
import subprocess
import sys
import time

from systems import System, fail, say

ROWS = 200_000
PATIENCE = 120


def until(what, done):
    deadline = time.monotonic() + PATIENCE
    while not (got := done()):
        if time.monotonic() > deadline:
            fail(f"waited {PATIENCE} s for {what}")
        time.sleep(0.01)
    return got


class Example(System):
    """The table and the ClickHouse of S2; Kafka is not used."""

    def __init__(self, name):
        super().__init__("s2", 0)
        self.program = os.path.join(os.environ["PGCH_EXAMPLES"], name, "example_" + name)
        self.conninfo = (f"host={self.env['PG_HOST']} port={self.env['PG_PORT']} user={self.env['PG_USER']} password={self.env['PG_PASS']} "
                         f"dbname={self.database}")
        self.out = os.path.join(self.work, "out")

    def start(self, target):
        with open(self.out, "w") as out:
            return subprocess.Popen([self.program, self.conninfo, self.table, target], stdout=out, stderr=out, cwd=self.work, env=self.env)

    def printed(self):
        with open(self.out) as f:
            return f.read()

    def expect_printed(self, pattern):
        if not re.search(pattern, self.printed(), re.M):
            fail(f"{pattern} was not printed:\n{self.printed()}")

    def expect_end(self, child, status=0):
        if child.wait(PATIENCE) != status:
            fail(f"it ended with {child.returncode}, not {status}:\n{self.printed()}")

    def kill(self, child):
        if child.poll() is not None:
            fail(f"it ended with {child.returncode} before the kill:\n{self.printed()}")
        child.send_signal(signal.SIGKILL)
        child.wait()

    def kill_midway(self, start, progress):
        """Starts it and kills it when it has begun, with as many rows as it takes for some to be left. Their number."""
        rows = ROWS
        for _ in range(6):
            self.add(rows)
            before = progress()
            child = start()
            until("the first rows", lambda: progress() != before)
            self.kill(child)
            if left := self.unmarked():
                return left
            rows *= 2
        fail(f"{rows // 2} rows were gone before the kill came")

    def unmarked(self):
        return int(self.sql(f"SELECT count(*) FROM {self.table} WHERE sent_to_kafka IS NOT TRUE"))

    def expect_each_once(self, ids):
        rows = self.source_rows()
        times = collections.Counter(ids)
        if len(times) != rows or max(times.values()) != 1 or self.unmarked() != 0:
            fail(f"{sum(times.values())} rows with {len(times)} ids for {rows} rows; {self.unmarked()} are not marked")


def custom_loader(example):
    file = os.path.join(example.work, "rows.tsv")

    def size():
        return os.path.getsize(file) if os.path.exists(file) else 0

    left = example.kill_midway(lambda: example.start(file), size)
    example.expect_end(example.start(file))
    example.expect_printed(r"^\d+ rows written to .*rows\.tsv$")
    with open(file) as f:
        lines = f.read().splitlines()
    example.expect_each_once([line.split("\t")[0] for line in lines])
    first = example.sql(f"SELECT id, username, event_type FROM {example.table} ORDER BY id LIMIT 1").split("|")
    if not any(line.split("\t")[0] == first[0] and all(value in line.split("\t") for value in first) for line in lines):
        fail(f"{first} is not what a line has; the first: {lines[0]}")
    say(f"custom_loader: killed with {left} rows to go; {len(lines)} rows in the file, each once")
    example.expect_end(example.start(file))
    example.expect_printed(r"^0 rows written")


def embedded_in_a_service(example):
    url = f"http://127.0.0.1:{example.env['CH_PORT']}"
    left = example.kill_midway(lambda: example.start(url), example.unmarked)
    child = example.start(url)
    until("the rest of the rows", lambda: example.unmarked() == 0)
    example.add(10)
    until("ten more rows", lambda: example.unmarked() == 0)
    until("the service to tell of them", lambda: re.search(r"^[1-9]\d* rows replicated$", example.printed(), re.M))
    child.send_signal(signal.SIGTERM)
    example.expect_end(child)
    example.expect_each_once(example.clickhouse(f"SELECT id FROM {example.target}").split("\n"))
    say(f"embedded_in_a_service: killed with {left} rows to go; {example.source_rows()} rows in ClickHouse, each once")
    example.expect_end(example.start("http://127.0.0.1:1/?no=such"), 1)


def main():
    programs = {f.__name__: f for f in (custom_loader, embedded_in_a_service)}
    if len(sys.argv) != 2 or sys.argv[1] not in programs:
        sys.exit(__doc__)
    example = Example(sys.argv[1])
    keep = True
    try:
        example.prepare()
        programs[sys.argv[1]](example)
        keep = False
    finally:
        example.close(keep)


if __name__ == "__main__":
    main()
