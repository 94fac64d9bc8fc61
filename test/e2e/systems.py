#!/usr/bin/env python3
"""The systems S0 to S3, and the direct path, end to end on real servers, by the configuration in examples/.

  systems.py s0|s1|s2|s3|direct [--format json|native] [--kills N] [--seed N]

Fill, transfer, verify; run again and nothing moves; add rows and just those move; kill the producer and the consumer (or the
one process, for direct) with SIGKILL N times each at random moments while rows are being added; then verify is equal, the topic holds
every row once, and the target holds no row twice, counted raw. ClickHouse is `pgch serve`, killed too (s1).
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PGCH = os.environ.get("PGCH", os.path.join(ROOT, "build", "dev", "cli", "pgch"))
SYSTEMS = {
    # name: (table, target, topic, insert of n rows)
    "s0": ("user_logins", "user_logins", "user_logins_s0",
           "INSERT INTO user_logins (user_id, username, event_type, payload) SELECT i, 'u' || i, 'login', '{{\"n\": 1}}' FROM generate_series(1, {n}) i"),
    "s1": ("user_logins", "analytics.user_logins", "user_logins",
           "INSERT INTO user_logins (user_id, event_type, event_time, payload, sent_to_kafka) "
           "SELECT 1, 'login', now(), '{{\"ip\": \"127.0.0.1\"}}', FALSE FROM generate_series(1, {n})"),
    "s2": ("user_logins", "user_logins", "user_events",
           "INSERT INTO user_logins (username, event_type) SELECT 'user_' || i, 'login' FROM generate_series(1, {n}) i"),
    "s3": ("user_login", "user_login", "user_event",
           "INSERT INTO user_login (username, event_type, event_time) SELECT 'john_doe', 'login', now()::timestamp FROM generate_series(1, {n})"),
    "direct": ("user_logins", "user_logins", None,
               "INSERT INTO user_logins (user_id, username, event_type, payload) SELECT i, 'u' || i, 'login', '{{\"n\": 1}}' FROM generate_series(1, {n}) i"),
}


def say(text):
    print(text, flush=True)


def fail(text):
    sys.exit("FAILED: " + text)


class System:
    def __init__(self, name, seed, wire="json"):
        self.name = name
        self.wire = wire
        self.table, self.target, self.topic, self.insert = SYSTEMS[name]
        self.random = random.Random(seed)
        self.work = tempfile.mkdtemp(prefix=f"pgch-e2e-{name}.")
        self.example = os.path.join(ROOT, "examples", "s0" if name == "direct" else name)
        self.database = f"e2e_{name}_{os.getpid()}"
        self.serve = None
        self.found_landed = 0
        self.kills = {}
        self.lock = threading.Lock()
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG_", "CH_", "KAFKA_", "PGCH_"))}
        env.update({
            "PG_HOST": os.environ["PGCH_TEST_PG_HOST"], "PG_PORT": os.environ["PGCH_TEST_PG_PORT"], "PG_USER": os.environ["PGCH_TEST_PG_USER"],
            "PG_PASS" if name == "s2" else "PG_PASSWORD": os.environ["PGCH_TEST_PG_PASSWORD"], "PG_DB": self.database,
            "PGCH_STATE": os.path.join(self.work, "state"), "PGCH_LIMITS_POLL": "20ms", "PGCH_LIBCHDB": os.environ["PGCH_LIBCHDB"],
        })
        if self.topic:
            # A fresh topic a run, so that a test can be repeated on the same broker; the group likewise.
            self.topic += f"_{os.getpid()}"
            env.update({"KAFKA_BOOTSTRAP": os.environ["PGCH_TEST_KAFKA"], "KAFKA_TOPIC": self.topic, "PGCH_KAFKA_FORMAT": wire})
        self.env = env

    # The surroundings.
    def sql(self, statement, database=None):
        env = dict(os.environ, PGPASSWORD=os.environ["PGCH_TEST_PG_PASSWORD"])
        out = subprocess.run(["psql", "-h", os.environ["PGCH_TEST_PG_HOST"], "-p", os.environ["PGCH_TEST_PG_PORT"], "-U", os.environ["PGCH_TEST_PG_USER"],
                              "-d", database or self.database, "-XqAt", "-v", "ON_ERROR_STOP=1"], input=statement, text=True, capture_output=True, env=env)
        if out.returncode:
            fail(f"psql: {out.stderr}")
        return out.stdout.strip()

    def start_serve(self):
        # The same port again after a kill: the clients know it.
        if "CH_PORT" not in self.env:
            self.env["CH_HOST"] = "127.0.0.1"
            self.env["CH_PORT"] = subprocess.run(["bash", "-c", f". {ROOT}/test/support/lib.sh; free_port"], capture_output=True, text=True,
                                                 check=True).stdout.strip()
        log = open(os.path.join(self.work, "serve.log"), "a")
        self.serve = subprocess.Popen([PGCH, "serve", "--to", "chdb://" + os.path.join(self.work, "warehouse"), "--port", self.env["CH_PORT"]], stdout=log,
                                      stderr=log, cwd=self.work, env={k: v for k, v in self.env.items() if not k.startswith("CH_")})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if subprocess.run(["curl", "-sf", f"http://127.0.0.1:{self.env['CH_PORT']}/ping"], capture_output=True).returncode == 0:
                return
            if self.serve.poll() is not None:
                with open(os.path.join(self.work, "serve.log")) as f:
                    fail("pgch serve ended: " + f.read()[-2000:])
            time.sleep(0.05)
        fail("pgch serve did not answer")

    def clickhouse(self, query):
        if self.name == "direct":
            return self.pgch("query", "--format", "TSV", query).strip()
        out = subprocess.run(["curl", "-sS", "--fail-with-body", f"http://127.0.0.1:{self.env['CH_PORT']}/", "--data-binary", query],
                             capture_output=True, text=True)
        if out.returncode:
            fail(f"ClickHouse: {out.stdout} {out.stderr}")
        return out.stdout.strip()

    def command(self, *arguments):
        settings = ["--table", self.table] if self.name == "s2" else ["-c", os.path.join(self.example, "pgch.toml")]
        if self.name == "direct":  # the configuration of this path is a handful of flags
            settings = [] if arguments[0] == "query" else ["--table", self.table]
        return [PGCH, arguments[0], *settings, *arguments[1:]]

    def pgch(self, *arguments, expect=0):
        command = self.command(*arguments)
        try:
            out = subprocess.run(command, capture_output=True, text=True, env=self.env, cwd=self.work, timeout=240)
        except subprocess.TimeoutExpired as late:
            fail(f"{' '.join(command)} did not end\n{late.stdout}\n{late.stderr}")
        self.note(out.stderr)
        if out.returncode != expect:
            fail(f"{' '.join(command)} ended with {out.returncode}, not {expect}\n{out.stdout}\n{out.stderr[-4000:]}")
        return out.stdout

    def note(self, log):
        # How often a crash left a batch in between: without that the kills would prove little.
        with self.lock:
            self.found_landed += log.count("rows had landed")

    # What can be counted.
    def source_rows(self):
        return int(self.sql(f"SELECT count(*) FROM {self.table}"))

    def target_rows(self):
        return [int(n) for n in self.clickhouse(f"SELECT count(), uniqExact(id) FROM {self.target}").split("\t")]

    def topic_rows(self):
        out = subprocess.run(["kcat", "-q", "-C", "-b", os.environ["PGCH_TEST_KAFKA"], "-t", self.topic, "-e", "-X", "topic.metadata.refresh.interval.ms=1000", "-o", "beginning",
                              "-f", "%h\n" if self.wire == "native" else "%k\n"], capture_output=True, text=True, timeout=120)
        if self.wire == "native":  # blocks have no keys: all rows that the headers tell of; which rows they are the target shows
            rows = sum(int(header.split("=")[1]) for header in out.stdout.replace("\n", ",").split(",") if header.startswith("pgch-rows="))
            return [rows, rows]
        keys = out.stdout.split()
        return [len(keys), len(set(keys))]

    def transfer(self):
        if self.topic:
            self.pgch("produce", "--once")
            self.pgch("consume", "--once")
        else:
            self.pgch("run", "--once")

    def expect_equal(self, when):
        rows = self.source_rows()
        if self.topic and (got := self.topic_rows()) != [rows, rows]:
            fail(f"{when}: the topic holds {got[0]} messages with {got[1]} keys for {rows} rows")
        if (got := self.target_rows()) != [rows, rows]:
            fail(f"{when}: the target holds {got[0]} rows with {got[1]} ids for {rows} rows")
        unsent = self.sql(f"SELECT count(*) FROM {self.table} WHERE sent_to_kafka IS NOT TRUE")
        if unsent != "0":
            fail(f"{when}: {unsent} rows are not marked")
        self.pgch("verify")
        say(f"{self.name}: {when}: {rows} rows, each once")

    def add(self, rows):
        self.sql(self.insert.format(n=rows))

    # The scenes.
    def prepare(self):
        self.sql(f"CREATE DATABASE {self.database}", "postgres")
        with open(os.path.join(self.example, "postgres_init.sql")) as f:
            self.sql(f.read())
        if self.name != "direct":
            self.start_serve()
            init = os.path.join(self.example, "clickhouse_init.sql")
            if os.path.exists(init):
                with open(init) as f:
                    text = "\n".join(line for line in f.read().splitlines() if not line.startswith("--"))
                for statement in filter(str.strip, text.split(";")):
                    self.clickhouse(statement)
        if self.name == "s0":  # the preparation of S0: a generator fills Kafka, a consumer fills PostgreSQL from it
            fill = dict(self.env, KAFKA_TOPIC=self.topic + "_fill")
            for arguments in (["generate", "--to-kafka", "--rows", "2000"], ["generate", "--kafka-to-postgres", "--once"]):
                out = subprocess.run(self.command(*arguments), capture_output=True, text=True, env=fill, cwd=self.work, timeout=120)
                if out.returncode:
                    fail(f"pgch {' '.join(arguments)}: {out.returncode} {out.stdout} {out.stderr}")
            if self.source_rows() != 2000:
                fail(f"the generator's 2000 events became {self.source_rows()} rows")
        elif self.name == "direct":
            self.add(2000)

    def kill_often(self, verb, times, done, settings=None, after=None):
        """settings: over the environment; after: called when the process is gone."""
        name = "-".join([verb, *(settings or {}).values()]).replace("/", "of")
        for i in range(times):
            log = open(os.path.join(self.work, f"{name}.log"), "w+")
            batch = str(self.random.choice([50, 333, 2000]))
            child = subprocess.Popen(self.command(verb), stdout=log, stderr=log, env=dict(self.env, PGCH_BATCH_ROWS=batch, **(settings or {})),
                                     cwd=self.work)
            time.sleep(self.random.uniform(0.2, 1.6))
            if (status := child.poll()) is not None:
                log.seek(0)
                done.append(f"pgch {name} ended by itself with {status}: {log.read()[-3000:]}")
                return
            child.send_signal(signal.SIGKILL)
            child.wait()
            with self.lock:
                self.kills[name] = self.kills.get(name, 0) + 1
            log.seek(0)
            self.note(log.read())
            log.close()
            if after:
                after()

    def kill_serve(self, times, stop):
        for _ in range(times):
            if stop.wait(self.random.uniform(1.5, 4)):
                return
            self.serve.send_signal(signal.SIGKILL)
            self.serve.wait()
            with self.lock:
                self.kills["serve"] = self.kills.get("serve", 0) + 1
            time.sleep(self.random.uniform(0, 0.5))
            self.start_serve()

    def kills_under_load(self, times, victims=None):
        """victims: (verb, settings, after) of each process that is killed, as kill_often takes them."""
        victims = victims or [(verb,) for verb in (["produce", "consume"] if self.topic else ["run"])]
        stop, problems = threading.Event(), []

        def insert():
            while not stop.is_set():
                self.add(self.random.choice([1, 100, 3000]))
                time.sleep(0.05)

        killers = [threading.Thread(target=self.kill_often, args=(verb, times, problems, *how)) for verb, *how in victims]
        others = [threading.Thread(target=insert)]
        if self.name == "s1":
            others.append(threading.Thread(target=self.kill_serve, args=(5, stop)))
        for t in killers + others:
            t.start()
        for t in killers:
            t.join()
        stop.set()
        for t in others:
            t.join()
        if problems:
            fail("\n".join(problems))
        if [n for name, n in self.kills.items() if name != "serve"] != [times] * len(victims):
            fail(f"the kills were {self.kills}, not {times} each")

    def run(self, kills):
        self.prepare()
        self.transfer()
        self.expect_equal("first transfer")
        before = self.target_rows(), self.topic_rows() if self.topic else None
        self.transfer()
        if (self.target_rows(), self.topic_rows() if self.topic else None) != before:
            fail("a second transfer with nothing new moved something")
        self.expect_equal("second transfer, nothing new")
        self.add(3)
        self.pgch("verify", expect=3)
        self.transfer()
        self.expect_equal("three new rows")
        if self.target_rows()[0] != before[0][0] + 3:
            fail("not just the three new rows moved")
        self.kills_under_load(kills)
        self.transfer()
        self.expect_equal(f"after the kills {self.kills}")
        if self.name == "s2":
            self.second_group()
        say(f"{self.name}: batches found under way after a kill or a lost answer: {self.found_landed}")

    def second_group(self):
        """Consumers with different groups each get all events."""
        self.env.update({"KAFKA_GROUP": f"second_{os.getpid()}", "CH_TABLE": "user_logins_second"})
        self.pgch("consume", "--once")
        rows = self.source_rows()
        got = self.clickhouse("SELECT count(), uniqExact(id) FROM user_logins_second")
        if got != f"{rows}\t{rows}":
            fail(f"the second group got {got}, not {rows} rows")
        say(f"s2: a second group has all {rows} rows, too")

    def close(self, keep):
        if self.serve and self.serve.poll() is None:
            self.serve.send_signal(signal.SIGTERM)
            try:
                self.serve.wait(30)
            except subprocess.TimeoutExpired:
                self.serve.kill()
        try:
            self.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)", "postgres")
        except SystemExit:
            pass
        if keep:
            say(f"what it left is in {self.work}")
        else:
            shutil.rmtree(self.work, ignore_errors=True)


def parser_of(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    return parser


def play(system, kills):
    """Runs its scenes; what it left stays if one failed."""
    # A failure in a thread is to be seen, too.
    threading.excepthook = lambda what: say(f"FAILED in a thread: {what.exc_value}")
    keep = True
    try:
        system.run(kills)
        keep = False
    finally:
        system.close(keep)


def main():
    parser = parser_of(__doc__)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--format", choices=("json", "native"), default="json")
    args = parser.parse_args()
    say(f"{args.system} ({args.format}): seed {args.seed}")
    play(System(args.system, args.seed, args.format), args.kills)


if __name__ == "__main__":
    main()
