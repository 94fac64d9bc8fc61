#!/usr/bin/env python3
"""pgch as a service: what it tells systemd (sd_notify), on the real command and real servers; the units in examples/systemd by systemd's own tools.

  service.py [NAME]…      NAME: a part of a case's name
"""
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from errors_world import CASES, DATABASE, PGCH, ROOT, Command, Failed, World, case, expect_equal, wait_until

WATCHDOG = "2000000"  # microseconds


class Listener:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, w, abstract=False):
        name = os.path.join(w.dir, f"notify.{time.monotonic_ns()}")
        self.address = "@" + name if abstract else name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name if abstract else name)
        self.socket.setblocking(False)
        self.lines = []

    def env(self, watchdog=WATCHDOG):
        return {"NOTIFY_SOCKET": self.address, **({"WATCHDOG_USEC": watchdog} if watchdog else {})}

    def read(self):
        while True:
            try:
                self.lines += self.socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return self.lines

    def has(self, part):
        return any(part in line for line in self.read())

    def fresh(self):
        """Forgets what came so far."""
        self.read()
        self.lines.clear()


def started(w, notices, *arguments, env=None):
    process = Command(w, *arguments, env={**notices.env(), **(env or {})})
    wait_until(lambda: notices.has("READY=1"), "READY=1", process)
    return process


@case
def a_service_says_that_it_is_ready_alive_and_stopping(w):
    for abstract in (False, True):
        w.table()
        notices = Listener(w, abstract)
        process = started(w, notices, "run", "--table", "t", *w.fresh(f"a{abstract}"))
        wait_until(lambda: w.unsent() == 0, "rows move", process)
        # Idle by choice, and for longer than the watchdog's time.
        notices.fresh()
        wait_until(lambda: notices.read().count("WATCHDOG=1") >= 12, "beats", process)
        wait_until(lambda: notices.has("STATUS=10 rows moved"), "a status line", process)
        if notices.has("STOPPING=1"):
            raise Failed("STOPPING without a stop")
        process.end()
        if not notices.has("STOPPING=1"):
            raise Failed(f"no STOPPING: {notices.lines}")


@case
def each_half_is_a_service(w):
    topic = f"service_{DATABASE}"
    flags = ["--table", "t", *w.kafka(topic)]
    w.table()
    for verb in ("produce", "consume"):
        notices = Listener(w)
        process = started(w, notices, verb, *flags, *(w.fresh("b")[2:] if verb == "produce" else w.fresh("b")))
        notices.fresh()
        wait_until(lambda: notices.has("WATCHDOG=1"), "a beat", process)
        if verb == "produce":
            wait_until(lambda: w.unsent() == 0, "rows move", process)
        process.end()


@case
def nobody_is_told_where_nobody_asks(w):
    w.table()
    notices = Listener(w)
    process = Command(w, "run", "--table", "t", *w.fresh("c"), env=notices.env(watchdog=None))
    wait_until(lambda: notices.has("READY=1"), "READY=1", process)
    process.end()
    if notices.has("WATCHDOG"):
        raise Failed("beats that nobody asked for")
    # Of another process, or no socket at all.
    w.table()
    other = Listener(w)
    w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", *w.fresh("c2"), env={**other.env(), "WATCHDOG_PID": "1"})
    if other.has("WATCHDOG"):
        raise Failed("beats for another process")
    w.table()
    w.expect(0, "can't be written to", "run", "--once", "--table", "t", *w.fresh("c3"), env={"NOTIFY_SOCKET": w.dir + "/nowhere"})


@case
def a_stopped_process_gives_no_beats(w):
    w.table()
    notices = Listener(w)
    process = started(w, notices, "run", "--table", "t", *w.fresh("d"))
    wait_until(lambda: notices.has("WATCHDOG=1"), "a beat", process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    notices.fresh()
    time.sleep(2)
    expect_equal(notices.read(), [], "what a stopped process tells")
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: notices.has("WATCHDOG=1"), "a beat", process)
    process.end()


@case
def a_load_that_hangs_stops_the_beats_and_a_server_that_is_away_does_not(w):
    w.table()
    data = os.path.join(w.dir, "hangs")
    server, url = w.serve(data)
    notices = Listener(w)
    process = started(w, notices, "run", "--table", "t", "--to", url, "--state", w.dir + "/hangs-state")
    wait_until(lambda: w.unsent() == 0, "rows move", process)
    server.send_signal(signal.SIGSTOP)
    w.sql("INSERT INTO t SELECT i, 'n' FROM generate_series(11, 20) i")
    wait_until(lambda: "has not come round" in process.said(), "the hanging load is noticed", process)
    notices.fresh()
    time.sleep(2)
    if notices.has("WATCHDOG=1"):
        raise Failed("beats while a load hangs")
    server.send_signal(signal.SIGCONT)
    wait_until(lambda: w.unsent() == 0 and notices.has("WATCHDOG=1"), "rows and beats again", process)
    # Away: pgch waits and tries again, which is no hanging.
    server.kill()
    server.wait()
    w.sql("INSERT INTO t SELECT i, 'n' FROM generate_series(21, 30) i")
    wait_until(lambda: "trying again" in process.said(), "the load fails", process)
    notices.fresh()
    wait_until(lambda: notices.read().count("WATCHDOG=1") >= 12, "beats", process)
    wait_until(lambda: notices.has("retr"), "a status that says so", process)
    process.end()


@case
def it_is_not_ready_before_its_servers_are(w):
    w.table()
    notices = Listener(w)
    process = Command(w, "run", "--table", "t", *w.fresh("f"), env={**notices.env(), "PG_PORT": "1"})
    wait_until(lambda: notices.has("STATUS=Waiting for the servers"), "a status", process)
    if notices.has("READY"):
        raise Failed("ready without a server")
    process.end()
    # The configuration is wrong: it ends with 2, which the unit does not repeat, and was never ready.
    notices = Listener(w)
    w.expect(2, "nowhere", "run", "--table", "nowhere", *w.fresh("f2"), env=notices.env())
    if notices.has("READY"):
        raise Failed("ready with a wrong configuration")


@case
def the_units_are_right_and_hardened(w):
    folder = os.path.join(w.dir, "units")
    os.makedirs(folder)
    units = sorted(glob.glob(os.path.join(ROOT, "examples", "systemd", "*.service")))
    expect_equal([os.path.basename(u) for u in units], [f"pgch-{v}@.service" for v in ("consume", "produce", "run")], "units")
    for unit in units:
        with open(unit, encoding="utf-8") as f:
            text = f.read()
        for line in ("Type=notify", "WatchdogSec=", "Restart=on-failure", "RestartPreventExitStatus=2", "EnvironmentFile=-/etc/pgch/%i.env", "TimeoutStartSec=infinity"):
            if line not in text:
                raise Failed(f"{unit} has no {line}")
        path = os.path.join(folder, os.path.basename(unit))
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("/usr/local/bin/pgch", PGCH))  # verify looks for the command
        out = subprocess.run(["systemd-analyze", "verify", path.replace("@", "@shop")], capture_output=True, text=True, timeout=60)
        about = [line for line in out.stderr.splitlines() if "pgch-" in line]
        if out.returncode or about:
            raise Failed(f"{unit}:\n{out.stdout}{out.stderr}")
        out = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", path], capture_output=True, text=True, timeout=60)
        if out.returncode:
            raise Failed(f"{unit} is not hardened:\n{out.stdout}{out.stderr}")
    shutil.rmtree(folder)


@case
def an_environment_file_with_the_names_of_s4_is_enough(w):
    """systemd reads EnvironmentFile itself and passes on the variables: those of S4's .env, and no more."""
    w.sql("DROP TABLE IF EXISTS source_table; CREATE TABLE source_table (id SERIAL PRIMARY KEY, name text NOT NULL, value float8 NOT NULL); "
          "INSERT INTO source_table (name, value) SELECT 'n' || i, i FROM generate_series(1, 7) i")
    w.expect(0, "", "setup", "--apply", "--table", "source_table", "--method", "outbox", *w.fresh("g"))
    w.sql("INSERT INTO source_table_outbox (_op, id) SELECT 'I', id FROM source_table")
    server, url = w.serve(os.path.join(w.dir, "s4"))
    env = {k: w.env[k] for k in ("PG_HOST", "PG_USER", "PG_PASSWORD", "PG_PORT", "PATH", "PGCH_LIBCHDB")}
    env |= {"PG_DB": DATABASE, "KAFKA_BOOTSTRAP": os.environ["PGCH_TEST_KAFKA"], "KAFKA_TOPIC": f"pg-events-{DATABASE}", "KAFKA_GROUP": "pg2click-consumer",
            "CH_HOST": "127.0.0.1", "CH_PORT": url.rsplit(":", 1)[1], "CH_TABLE": "target_table", "PG_TABLE": "source_table", "PGCH_TABLE_METHOD": "outbox"}
    folder = os.path.join(w.dir, "s4-state")
    os.makedirs(folder)
    for verb in ("produce", "consume"):
        out = subprocess.run([PGCH, verb, "--once"], env=env, cwd=folder, capture_output=True, text=True, timeout=120)
        expect_equal(out.returncode, 0, out.stderr)
    expect_equal(w.query(["--to", url], "SELECT count(), uniqExact(id) FROM target_table"), "7\t7", "rows")
    server.end()


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
