#!/usr/bin/env python3
"""What an operator has to rely on, by the command, on real servers: where dead letters lie, hints that can be pasted, exit statuses by
one rule, an end within reason when a server is away.

  operating.py [NAME]…      NAME: a part of a case's name
"""
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

from errors_world import CASES, DATABASE, PGCH, SECRET, Failed, World, case

KAFKA = os.environ["PGCH_TEST_KAFKA"]


def require(condition, text):
    if not condition:
        raise Failed(text)


def wait_for(what, text, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        require(time.monotonic() < deadline, text)
        time.sleep(0.1)


def fresh_topic(name):
    return f"{name}_{DATABASE}"


def send(topic, *messages):
    for message in messages:
        subprocess.run(["kcat", "-P", "-b", KAFKA, "-t", topic], input=message, text=True, check=True, timeout=60)


def facts(w, *arguments):
    out = w.pgch("status", "--json", *arguments)
    return json.loads(out.stdout)[0]


class Running:
    """A command in the background; its standard error is kept as it comes."""

    def __init__(self, w, *arguments):
        self.child = subprocess.Popen([PGCH, *arguments], env=w.env, cwd=w.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.child.stderr:
            self.log += line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.reader.join()
        self.child.stdout.close()

    def stop(self, seconds):
        """Status after SIGTERM; too long is a failure."""
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"SIGTERM was not heeded:\n{self.log}") from None


class FakeServer:
    """Accepts, says `answer`, and closes; without an answer it just listens and never says anything."""

    def __init__(self, answer=None):
        self.answer = answer
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.asked = threading.Event()
        self.connections = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.asked.set()
            if self.answer is None:
                self.connections.append(connection)
                continue
            connection.recv(65536)
            connection.sendall(self.answer)
            connection.shutdown(socket.SHUT_WR)
            try:
                while connection.recv(65536):
                    pass
            except OSError:
                pass
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for connection in self.connections:
            connection.close()


@case
def dead_letters_of_a_table_are_told_of_and_counted(w):
    w.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, day date, sent_to_kafka BOOLEAN DEFAULT FALSE); "
          "INSERT INTO t VALUES (1, '2024-01-01'), (2, 'infinity')")
    there = w.fresh("a")
    out = w.expect(4, "", "run", "--once", "-q", "--table", "t", *there)
    path = there[3] + "/pgch.t.dead.jsonl"
    require(out.stdout == "" and "1 row of t could not be moved" in out.stderr and path in out.stderr, out.stdout + out.stderr)
    # The hint works as it stands.
    hint = out.stderr.split("look at the reasons with: ")[1].strip()
    said = subprocess.run(shlex.split(hint), capture_output=True, text=True, check=True, timeout=60).stdout
    require("day" in said, said)
    found = facts(w, "--table", "t", *there)
    require(found["dead_letters"] == 1 and found["dead_letter_file"] == path, str(found))


@case
def dead_letters_of_a_topic_are_told_of_and_counted_and_name_their_offset(w):
    topic, there = fresh_topic("letters"), w.fresh("b")
    w.expect(0, "", "query", *there[:2], "CREATE TABLE t (id Int64, day Date, _version UInt64, _deleted UInt8) "
             "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")
    # A consumer that can ask nobody what the columns are.
    path = os.path.join(w.dir, "letters.toml")
    with open(path, "w") as f:
        f.write('[[table]]\nname = "t"\ntypes = ["id Int64", "day Date32"]\nkey = ["id"]\n')
    arguments = ["-c", path, "--kafka", KAFKA, "--topic", topic, *there]
    w.expect(0, "", "consume", "--once", *arguments)  # makes the topic
    send(topic, '{"id": 1, "day": "2024-01-01"}', '{"id": "x"}', '{"id": 3, "day": "1900-01-01"}')
    out = w.expect(4, "", "consume", "--once", "-q", *arguments)
    require("2 messages for t could not be moved" in out.stderr and topic + ".dlq" in out.stderr, out.stderr)
    hint = out.stderr.split("look at the reasons with: ")[1].strip()
    said = subprocess.run(shlex.split(hint), capture_output=True, text=True, check=True, timeout=60).stdout
    headers = [dict(part.split("=", 1) for part in line.split(",") if "=" in part) for line in said.splitlines()]
    places = {(h.get("pgch-topic"), h.get("pgch-partition"), h.get("pgch-offset")) for h in headers}
    # The last one was refused by the loader, for its column's range.
    offsets = subprocess.run(["kcat", "-C", "-e", "-q", "-b", KAFKA, "-t", topic, "-f", "%p %o %s\n"], capture_output=True, text=True, timeout=60).stdout
    wanted = {(topic, *line.split()[:2]) for line in offsets.splitlines() if '"x"' in line or "1900" in line}
    require(places == wanted, f"{places} is not {wanted}:\n{said}")
    found = facts(w, *arguments)
    require(found["dead_letters"] == 2 and found["dead_letter_topic"] == topic + ".dlq", str(found))


@case
def once_over_an_empty_table_makes_the_target(w):
    w.table(rows=0)
    there = w.fresh("c")
    w.expect(0, "Done: 0 rows", "run", "--once", "--table", "t", *there)
    w.expect(0, "equal: 0 rows", "verify", "--table", "t", *there)


@case
def one_is_not_many(w):
    w.table(rows=1)
    there = w.fresh("d")
    w.expect(0, "Done: 1 row,", "run", "--once", "--table", "t", *there)
    w.expect(0, "equal: 1 row,", "verify", "--table", "t", *there)


@case
def once_does_not_wait_for_brokers_that_are_away(w):
    w.table()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
        for verb in ("produce", "run", "consume"):
            out = w.expect(1, address, verb, "--once", "--table", "t", "--kafka", address, *(w.fresh("e") if verb != "produce" else w.fresh("e")[2:]))
            require("kafka.bootstrap" in out.stderr, out.stderr)
    require(w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") == "10", "rows were marked")


@case
def a_stop_is_heeded_while_brokers_do_not_answer(w):
    w.table()
    for once in ([], ["--once"]):
        with FakeServer() as silent, Running(w, "produce", *once, "--table", "t", "--kafka", silent.address, *w.fresh("f")[2:]) as child:
            require(silent.asked.wait(60), "nobody asked the broker: " + child.log)
            require(child.stop(12) == 0, f"{child.child.returncode}: {child.log}")


@case
def a_port_that_is_not_clickhouse_s(w):
    w.table()
    native = b"HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program\r\nYou must use port 8123 for HTTP.\r\n"
    with FakeServer(native) as port:
        w.expect(2, "8123", "run", "--once", "--table", "t", "--to", f"http://{port.address}", "--state", w.dir + "/g")
    with FakeServer(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        w.expect(2, "8123", "run", "--once", "--table", "t", "--to", f"http://{port.address}", "--state", w.dir + "/g")
    postgres = f"http://{w.env['PG_HOST'] if not w.env['PG_HOST'].startswith('/') else '127.0.0.1'}:{w.env['PG_PORT']}"
    out = w.pgch("run", "--once", "--table", "t", "--to", postgres, "--state", w.dir + "/g")
    require(out.returncode in (1, 2) and "8123" in out.stderr, out.stderr)


@case
def exit_statuses_follow_one_rule(w):
    """2: the command or the configuration has to be changed. 1: something failed that was rightly asked for."""
    there = w.fresh("h")
    w.sql("DROP TABLE IF EXISTS t")
    for verb in (["run", "--once"], ["check"], ["verify"], ["setup"], ["ddl"]):
        w.expect(2, "table", *verb, "--table", "nowhere", *(there if verb != ["ddl"] else there[:2]))
    w.table(flag="")
    w.expect(2, "sent_to_kafka", "run", "--once", "--table", "t", *there)
    w.expect(2, "sent_to_kafka", "check", "--table", "t", *there)
    w.table(flag="sent_to_kafka text")
    w.expect(2, "boolean", "run", "--once", "--table", "t", *there)
    w.expect(2, "boolean", "check", "--table", "t", *there)
    w.table(key="")
    w.expect(2, "key", "run", "--once", "--table", "t", *there)
    w.expect(2, "key", "check", "--table", "t", *there)
    w.table()
    w.expect(2, "no_such_database", "run", "--once", "--table", "t", *there, env={"PG_DB": "no_such_database"})
    w.expect(2, "code 60", "query", *there[:2], "SELECT * FROM nowhere")
    w.expect(1, "password", "check", "--table", "t", *there, env={"PG_PASSWORD": SECRET})
    secret = os.path.join(w.dir, "open.password")
    with open(secret, "w") as f:
        f.write(SECRET + "\n")
    os.chmod(secret, 0o644)
    for setting in ("postgres", "clickhouse"):
        w.expect(2, "chmod 600 " + secret, "check", "--table", "t", "--set", f"{setting}.password_file={secret}", *there,
                 env={"PG_PASSWORD": ""})
    os.chmod(secret, 0o600)
    w.expect(1, "password", "check", "--table", "t", "--set", f"postgres.password_file={secret}", *there, env={"PG_PASSWORD": ""})


@case
def hints_of_check_can_be_pasted(w):
    w.table(flag="")
    there = w.fresh("i i")
    out = w.expect(2, "has no column sent_to_kafka", "check", "--table", "t", *there)
    hint = next(line for line in out.stdout.splitlines() if "mend it with: pgch" in line).split("mend it with: ")[1]
    words = shlex.split(hint)
    require(words[0] == "pgch" and words[-1] == "--apply", hint)
    w.expect(0, "Done", *words[1:])
    out = w.expect(0, "Everything is there", "check", "--table", "t", *there)
    require("partial index" in out.stdout and "is there, and every column fits" in out.stdout, out.stdout)
    url = f"postgresql://{w.env['PG_USER']}:{SECRET}@localhost:1/x"
    out = w.pgch("verify", "--from", url, "--table", "t", *there)
    w.sql("INSERT INTO t VALUES (99, 'new')")
    out = w.expect(3, "--once", "verify", "--table", "t", *there)
    words = shlex.split(out.stderr.split("move what waits with: ")[1].split(", then")[0])
    w.expect(0, "Done: 11 rows", *words[1:])
    w.expect(0, "equal: 11 rows", "verify", "--table", "t", *there)


@case
def check_says_whether_the_target_fits_and_who_answers(w):
    w.table()
    there = w.fresh("j")
    out = w.expect(0, "will be made at the first start", "check", "--table", "t", *there, "--kafka", KAFKA, "--topic", fresh_topic("new"))
    require("Kafka at " + KAFKA in out.stdout and "no partial index" in out.stdout, out.stdout)
    w.expect(0, "", "query", *there[:2], "CREATE TABLE t (id Int8, note Nullable(String), _version UInt64, _deleted UInt8) "
             "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")
    w.expect(2, "does not fit into Int8", "check", "--table", "t", *there)


@case
def a_name_that_nearly_fits_is_suggested(w):
    w.sql("DROP TABLE IF EXISTS user_logins; CREATE TABLE user_logins (id int PRIMARY KEY)")
    try:
        for verb in (["check"], ["run", "--once"]):
            for name in ("user_login", "public.user_login", "shop.user_logins"):
                w.expect(2, "did you mean public.user_logins?", *verb, "--table", name, *w.fresh("k"))
    finally:
        w.sql("DROP TABLE user_logins")


@case
def status_shows_names_as_they_are(w):
    out = w.expect(2, 'relation "nowhere" does not exist', "status", "--table", "nowhere", *w.fresh("l"))
    require("\\" not in out.stdout, out.stdout)


@case
def the_engine_s_own_words_stay_away_when_its_directory_is_in_use(w):
    w.table()
    there = w.fresh("m")
    with Running(w, "run", "--table", "t", *there) as first:
        wait_for(lambda: w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") == "0", "nothing moved")
        out = w.expect(1, "another process", "query", *there[:2], "SELECT 1")
        require("Code:" not in out.stderr, out.stderr)
        require(first.stop(60) == 0, first.log)


@case
def a_target_that_is_renamed_meanwhile_is_warned_of(w):
    w.table()
    there = w.fresh("n")
    with subprocess.Popen([PGCH, "serve", "--to", there[1], "--port", "0", "--json"], env=w.env, cwd=w.dir, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
            with Running(w, "run", "--table", "t", "--to", url, "--state", there[3], "--set", "limits.poll=50ms") as child:
                wait_for(lambda: w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") == "0", "nothing moved")
                urllib.request.urlopen(url, b"RENAME TABLE t TO t_old", timeout=60).read()
                w.sql("INSERT INTO t VALUES (11, 'new')")
                wait_for(lambda: w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") == "0", "nothing moved")
                require("got 10 rows since the start, and is gone: it was made again" in child.log, child.log)
                counts = urllib.request.urlopen(url, b"SELECT (SELECT count() FROM t), (SELECT count() FROM t_old)", timeout=60).read()
                require(counts == b"1\t10\n", str(counts))
                require(child.stop(60) == 0, child.log)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


@case
def help_names_what_a_flag_takes_and_the_shell_completes(w):
    out = w.pgch("run", "--help").stdout
    require("--from URL" in out and "--table TABLE" in out and " TEXT" not in out, out)
    for verb in ("generate", "serve", "query", "consume", "setup", "ddl", "verify"):
        out = w.pgch(verb, "--help").stdout
        require(" TEXT" not in out and " UINT" not in out and " INT" not in out, out)
    script = f'PATH={shlex.quote(os.path.dirname(PGCH))}:$PATH; source <(pgch completion bash); COMP_WORDS=(pgch completion ""); COMP_CWORD=2; _pgch; echo "${{COMPREPLY[@]}}"'
    out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=w.env, timeout=60)
    require(out.stdout.split()[:2] == ["bash", "zsh"], out.stdout + out.stderr)
    require("Exit status" in w.pgch("help").stdout, "help says nothing of the exit status")


@case
def a_partitioned_table_is_set_up_and_torn_down(w):
    """Its index is made on each partition, concurrently, and attached; what is added later has one by itself."""
    long = "a_partition_whose_name_is_as_long_as_a_name_may_be_at_postgresql"[:63]
    for method, column, suffix in (("flag", "sent_to_kafka", "unsent"), ("poll", "_pgch_xid", "order")):
        w.sql(f'''DROP TABLE IF EXISTS t; CREATE SCHEMA IF NOT EXISTS "odd s"; DROP TABLE IF EXISTS "odd s"."t ""1"; CREATE TABLE t (id int, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
              CREATE TABLE "odd s"."t ""1" PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
              CREATE TABLE t_2025 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY HASH (id);
              CREATE TABLE {long} PARTITION OF t_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE t_2025_1 PARTITION OF t_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
              INSERT INTO t SELECT i, date '2024-01-01' + i, 'n' FROM generate_series(1, 700) i''')
        there = [*w.fresh("p-" + method), "--table", "t", "--method", method]
        index = f"t_{column}_{suffix}"
        valid = f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{index}')"
        indexed = f"SELECT count(*) FROM pg_partition_tree('t') p WHERE EXISTS (SELECT 1 FROM pg_partition_tree('{index}') x JOIN pg_index i ON i.indexrelid = x.relid WHERE i.indrelid = p.relid AND i.indisvalid)"
        out = w.expect(0, ["CONCURRENTLY", "ATTACH PARTITION", "Nothing was changed"], "setup", *there)
        require(w.sql(f"SELECT to_regclass('{index}') IS NULL") == "t", out.stdout)
        w.expect(0, "Done", "setup", "--apply", *there)
        require((w.sql(valid), w.sql(indexed)) == ("t", "5"), f"{method}: {w.sql(valid)} {w.sql(indexed)}")
        w.expect(0, "index on", "check", *there)
        w.expect(0, "Done: 700 rows", "run", "--once", *there)
        # Again, with a partition that is new: nothing to do.
        w.sql("CREATE TABLE t_2026 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); INSERT INTO t VALUES (1000, '2026-02-02', 'new')")
        out = w.expect(0, "Done", "setup", "--apply", *there)
        require("ATTACH" not in out.stdout and w.sql(indexed) == "6", out.stdout)
        # One that was cut off goes on.
        w.sql(f"DROP INDEX {index}")
        w.sql(next(line for line in w.pgch("setup", *there).stdout.splitlines() if line.startswith("CREATE INDEX")))
        require(w.sql(valid) == "f", "an index on the parent alone is valid")
        w.expect(0, "Done", "setup", "--apply", *there)
        require((w.sql(valid), w.sql(indexed)) == ("t", "6"), f"{method}: {w.sql(valid)} {w.sql(indexed)}")
        w.expect(0, "Done: 1 row", "run", "--once", *there)
        w.expect(0, "Nothing was changed", "teardown", *there)
        w.expect(0, "Done", "teardown", "--apply", *there)
        require(w.sql(f"SELECT to_regclass('{index}') IS NULL, NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = '{column}' AND NOT attisdropped)") == "t|t",
                f"{method}: teardown left something")
    w.sql('DROP TABLE t; DROP SCHEMA "odd s"')
    # A plain table as before.
    w.table(flag="")
    there = [*w.fresh("p-plain"), "--table", "t"]
    w.expect(0, "CREATE INDEX CONCURRENTLY", "setup", "--apply", *there)
    w.expect(0, "DROP INDEX CONCURRENTLY", "teardown", "--apply", *there)


@case
def status_tells_how_many_rows_wait_behind_the_cursor(w):
    # xid and xmin wait for every transaction of the server, those of tests beside this one, too: the test `poll`, which runs alone, has them.
    for form in ("snapshots", "plain"):
        for store in ("file", "database"):
            w.sql("DROP TABLE IF EXISTS t, pgch_cursor; CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT i, 'n' FROM generate_series(1, 50) i")
            there = [*w.fresh(f"q-{form}-{store}"), "--table", "t", "--method", "poll", "--set", f"table.poll_form={form}", "--set", f"table.poll_store={store}", "--batch-rows", "7"]
            status = [*there[:-2]]
            w.expect(0, "Done", "setup", "--apply", *status)
            require(facts(w, *status)["unsent_rows"] == 50, f"{form}: {facts(w, *status)}")
            w.expect(0, "Done: 50 rows", "run", "--once", *there)
            require(facts(w, *status)["unsent_rows"] == 0, f"{form}: {facts(w, *status)}")
            w.sql("INSERT INTO t SELECT i, 'n' FROM generate_series(51, 63) i")
            require(facts(w, *status)["unsent_rows"] == 13, f"{form}: {facts(w, *status)}")
            # Beside a reader that runs.
            with Running(w, "run", *there, "--set", "limits.poll=50ms") as child:
                wait_for(lambda: facts_of_running(w, status) == 0, "status never tells 0: " + child.log)
                require(child.stop(60) == 0, child.log)


def facts_of_running(w, arguments):
    return json.loads(w.pgch("status", "--json", *arguments).stdout)[0].get("unsent_rows")


def main():
    world = World()
    world.sql(f"CREATE DATABASE {DATABASE}", "postgres")
    failed = []
    chosen = [c for c in CASES if len(sys.argv) < 2 or any(part in c[0] for part in sys.argv[1:])]
    try:
        for name, function in chosen:
            try:
                function(world)
                print("ok      " + name, flush=True)
            except (Failed, OSError, subprocess.SubprocessError) as problem:
                failed.append(name)
                print(f"FAILED  {name}\n{problem}", flush=True)
    finally:
        world.close()
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed")
    sys.exit(1 if failed or not chosen else 0)


main()
