#!/usr/bin/env python3
"""Long troubles of a consumer group, on real servers, while rows are produced all the time.

  storms.py rebalance|away [--seconds N] [--seed N]

rebalance: consumers of one group join and leave every few seconds, by SIGTERM and by SIGKILL. At the end verify is equal and no row is there twice, raw.
away: ClickHouse is away for N seconds. The consumer stays in its group, its memory stays, and it goes on by itself.
"""
import argparse
import os
import random
import signal
import subprocess
import threading
import time

from errors_world import BROKER, DATABASE, Command, Failed, World, expect_equal, wait_until

PARTITIONS = 6


class Storm:
    def __init__(self, seconds, seed):
        self.w = World()
        self.seconds = seconds
        self.random = random.Random(seed)
        self.stop = threading.Event()
        self.problems = []
        self.kills = {signal.SIGTERM: 0, signal.SIGKILL: 0}
        self.landed = 0
        self.lock = threading.Lock()

    def prepare(self, name):
        w = self.w
        self.topic = f"{name}_{DATABASE}"
        path = os.path.join(w.dir, "pgch.toml")
        with open(path, "w", encoding="utf-8") as f:
            # Members that are gone are found out soon; a consumer that doesn't serve its group for 10 s is thrown out of it.
            f.write(f'[batch]\nrows = 200\nlinger = "100ms"\n[limits]\nmemory = "64MiB"\n[kafka]\nbootstrap = "{BROKER}"\ntopic = "{self.topic}"\n'
                    f'group = "{self.topic}"\npartitions = {PARTITIONS}\n[kafka.librdkafka]\n"session.timeout.ms" = "6000"\n"max.poll.interval.ms" = "10000"\n'
                    '[[table]]\nname = "t"\n')
        w.table(rows=0)
        self.server, url = w.serve(os.path.join(w.dir, "warehouse"))
        self.port = url.rsplit(":", 1)[1]
        self.arguments = ["-c", path, "--to", url, "--state", os.path.join(w.dir, "state")]
        self.producer = Command(w, "produce", "-c", path, "--state", os.path.join(w.dir, "state"))
        self.rows = 0
        self.inserter = threading.Thread(target=self.insert)
        self.inserter.start()
        wait_until(lambda: self.rows > 0 and w.unsent() < self.rows, "rows are produced", self.producer)

    def insert(self):
        while not self.stop.is_set():
            n = self.random.choice([10, 1000, 5000])
            self.w.sql(f"INSERT INTO t SELECT i, 'n' || i FROM generate_series({self.rows + 1}, {self.rows + n}) i")
            self.rows += n
            time.sleep(0.2)

    def finish(self):
        self.stop.set()
        self.inserter.join()
        w = self.w
        wait_until(lambda: w.unsent() == 0, "the last rows are produced", self.producer)
        self.producer.end()
        w.expect(0, "", "consume", "--once", *self.arguments)
        w.expect(0, "equal", "verify", *self.arguments)
        w.expect_once(["--to", self.arguments[3]], self.rows)
        keys = [line for line in subprocess.run(["kcat", "-q", "-C", "-e", "-b", BROKER, "-t", self.topic, "-o", "beginning", "-f", "%k\n"], capture_output=True,
                                                text=True, timeout=120).stdout.splitlines()]
        expect_equal((len(keys), len(set(keys))), (self.rows, self.rows), "messages of the topic, and their keys")

    # The storms.
    def member(self, begin):
        time.sleep(begin)
        while not self.stop.is_set():
            process = Command(self.w, "consume", *self.arguments)
            how = self.random.choice([signal.SIGTERM, signal.SIGKILL])
            # Some don't live to get a partition; the others go when there is a backlog to read.
            patience = time.monotonic() + self.random.uniform(1, 9)
            while not self.stop.is_set() and time.monotonic() < patience and "reading" not in process.said() and process.poll() is None:
                time.sleep(0.05)
            self.stop.wait(self.random.uniform(0, 0.8))
            if process.poll() is not None:
                self.problems.append(f"a consumer ended by itself with {process.returncode}: {process.said()[-3000:]}")
                return
            process.send_signal(how)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                self.problems.append("SIGTERM did not end a consumer: " + process.said()[-3000:])
                process.kill()
                process.wait()
            if how == signal.SIGTERM and process.returncode != 0:
                self.problems.append(f"SIGTERM ended a consumer with {process.returncode}: {process.said()[-3000:]}")
            with self.lock:
                self.kills[how] += 1
                self.landed += process.said().count("settling it first")

    def rebalance(self):
        self.prepare("rebalance")
        members = [threading.Thread(target=self.member, args=(i * 0.8,)) for i in range(4)]
        for one in members:
            one.start()
        time.sleep(self.seconds)
        self.stop.set()
        for one in members:
            one.join()
        if self.problems:
            raise Failed("\n".join(self.problems))
        if min(self.kills.values()) == 0:
            raise Failed(f"not both kinds of an end: {self.kills}")
        self.finish()
        print(f"{self.rows} rows, each once; {self.kills[signal.SIGTERM]} members left, {self.kills[signal.SIGKILL]} were killed, {self.landed} batches under way were settled by the next owner", flush=True)

    def away(self):
        self.prepare("away")
        w = self.w
        consumer = Command(w, "consume", *self.arguments)
        url = self.arguments[3]
        stored = lambda: int(w.pgch("query", "--to", url, "--format", "TSV", "SELECT count() FROM t").stdout.strip() or 0)  # noqa: E731
        wait_until(lambda: stored() > 0, "rows arrive", consumer)
        memory = lambda: next(int(line.split()[1]) for line in open(f"/proc/{consumer.pid}/status", encoding="utf-8") if line.startswith("VmRSS"))  # noqa: E731
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        wait_until(lambda: "trying again" in consumer.said(), "the consumer notices", consumer)
        before, begun = memory(), self.rows
        until = time.monotonic() + self.seconds
        most = before
        while time.monotonic() < until:
            most = max(most, memory())
            if consumer.poll() is not None:
                raise Failed("the consumer ended: " + consumer.said()[-3000:])
            time.sleep(0.5)
        out = w.pgch("replay", "--from-beginning", "--dry-run", *self.arguments)
        if "has 1 member" not in out.stderr:
            raise Failed("the consumer is not in its group: " + out.stderr)
        meanwhile = self.rows - begun
        if most - before > 64 * 1024:
            raise Failed(f"the consumer's memory grew from {before} to {most} KiB while nothing could be stored")
        self.server = Command(w, "serve", "--to", "chdb://" + os.path.join(w.dir, "warehouse"), "--port", self.port)
        wait_until(lambda: stored() > begun, "it goes on by itself", consumer)
        said = consumer.said()
        if said.count("reading 6 partitions") != 1 or "took all partitions away" in said:
            raise Failed("it left its group meanwhile:\n" + said)
        self.stop.set()
        self.inserter.join()
        wait_until(lambda: w.unsent() == 0 and stored() == self.rows, "everything arrives", consumer)
        consumer.end()
        self.finish()
        print(f"{self.rows} rows, each once; {meanwhile} of them came while ClickHouse was away for {self.seconds} s; RSS {before} KiB then, at most {most}", flush=True)

    def close(self):
        self.stop.set()
        self.w.end_case()
        self.w.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("storm", choices=("rebalance", "away"))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"{args.storm}: seed {args.seed}", flush=True)
    storm = Storm(args.seconds, args.seed)
    storm.w.sql(f"CREATE DATABASE {DATABASE}", "postgres")
    try:
        getattr(storm, args.storm)()
    finally:
        storm.close()


main()
