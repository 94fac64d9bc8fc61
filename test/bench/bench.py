#!/usr/bin/env python3
"""Runs the cases of test/bench/run.sh; see its head. Standard library only; the servers are up and in the environment."""
import argparse
import functools
import json
import os
import signal
import subprocess
import sys
import time

TICK = os.sysconf("SC_CLK_TCK")
COLUMNS = "id, user_id, username, event_type, event_time, payload"
# user_logins as the issue has it; the payload is 80 bytes of jsonb.
FILL = """
CREATE TABLE {table} (id bigint PRIMARY KEY, user_id bigint NOT NULL, username text NOT NULL, event_type text NOT NULL,
  event_time timestamptz NOT NULL, payload jsonb, sent_to_kafka boolean NOT NULL DEFAULT FALSE);
INSERT INTO {table} SELECT i, i % 100000, 'user_' || (i % 100000), (ARRAY['login','logout','purchase','view'])[1 + i % 4],
  timestamptz '2024-11-15 10:00:00+00' + i * interval '137 milliseconds',
  jsonb_build_object('ip', '10.' || (i % 250) || '.' || (i % 240) || '.7', 'agent', 'Mozilla/5.0 (X11; Linux x86_64)', 's', i % 977),
  FALSE FROM generate_series(1, {rows}) i;
CREATE INDEX {table}_unsent ON {table} (id) WHERE sent_to_kafka IS NOT TRUE;
"""
# 40 columns, about 400 bytes, of the types that the postgresql() function can read, too.
WIDE_GROUP = {
    "i2{n} smallint NOT NULL": "i % 3000", "i4{n} integer": "i * 7 % 2000000000", "i8{n} bigint NOT NULL": "i::bigint * 1000003",
    "f4{n} real": "i / 7.0", "f8{n} double precision NOT NULL": "sqrt(i)", "d2{n} numeric(12,2)": "i / 100.0",
    "d6{n} numeric(30,6) NOT NULL": "i * 1.000001", "b{n} boolean": "i % 3 = 0", "t{n} text NOT NULL": "'text of row ' || i",
    "v{n} varchar(40)": "md5(i::text)", "u{n} uuid NOT NULL": "md5(i::text)::uuid", "day{n} date": "date '2020-01-01' + i % 2000",
    "ts{n} timestamp NOT NULL": "timestamp '2024-01-01' + i * interval '1 second'"}
WIDE = [(c.format(n=n), v) for n in (1, 2, 3) for c, v in WIDE_GROUP.items()]
SHAPES = {
    # What is created, and for each row of generate_series what it gets; the first column is the key.
    "wide": [("id bigint PRIMARY KEY", "i"), *WIDE],
    "narrow": [("id bigint PRIMARY KEY", "i"), ("x bigint NOT NULL", "i::bigint * 1000003")],
}


def sql(statement):
    out = subprocess.run(["psql", os.environ["PGCH_TEST_PG"], "-XqAt", "-v", "ON_ERROR_STOP=1"], input=statement, text=True,
                         capture_output=True)
    if out.returncode:
        sys.exit(f"psql: {out.stderr}")
    return out.stdout.strip()


def stat(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(") ")[2].split()


def cpu(pid, children):
    """CPU seconds of a process; with children, also of those that it has waited for."""
    try:
        fields = stat(pid)
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15] if children else fields[11:13])) / TICK


def family_cpu(parent):
    """A postmaster: itself, the backends that ended, and those alive."""
    total = cpu(parent, True)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if stat(entry)[1] == str(parent):
                    total += cpu(entry, True)
            except OSError:
                pass
    return total


def pid_of(path):
    if not path:
        return -1
    with open(path) as f:
        return int(f.read().split()[0])


class Bench:
    def __init__(self, args):
        self.args = args
        self.pgch = os.path.join(args.build, "cli", "pgch")
        self.raw = os.path.join(args.build, "test", "raw_flag")
        self.python = os.path.join(args.venv, "bin", "python")
        self.work = args.work
        # Of one's own servers there is no pid file: then their CPU is given as 0.
        self.postgres = pid_of(os.environ.get("PGCH_TEST_PG_PIDFILE"))
        self.kafka = pid_of(os.environ.get("PGCH_TEST_KAFKA_PIDFILE"))
        self.serve = None
        self.serve_url = None
        self.made = 0

    def name(self, what):
        self.made += 1
        return f"{what}_{os.getpid()}_{self.made}"

    def table(self, rows, shape="logins"):
        table = self.name(f"bench_{shape}")
        if shape == "logins":
            sql(FILL.format(table=table, rows=rows))
        else:
            sql(f"CREATE TABLE {table} ({', '.join(c for c, _ in SHAPES[shape])});"
                f"INSERT INTO {table} SELECT {', '.join(v for _, v in SHAPES[shape])} FROM generate_series(1, {rows}) i;")
        sql(f"VACUUM (ANALYZE) {table}; CHECKPOINT;")
        return table

    def config(self, table, topic=None, clickhouse=None, target="user_logins", wire="json"):
        path = os.path.join(self.work, self.name("bench") + ".toml")
        with open(path, "w") as f:
            f.write(f'pipeline = "{table}"\nstate = "{path}.state"\n[postgres]\nurl = "{os.environ["PGCH_TEST_PG"]}"\n')
            if topic:
                f.write(f'[kafka]\nbootstrap = "{os.environ["PGCH_TEST_KAFKA"]}"\ntopic = "{topic}"\npartitions = 1\nformat = "{wire}"\n')
            f.write(f'[clickhouse]\nurl = "{clickhouse or "chdb://" + path + ".data"}"\n')
            f.write(f'[[table]]\nname = "{table}"\ntarget = "{target}"\n')
        return path

    def measure(self, command, rows):
        """Runs it and returns seconds, CPU by process, and its peak RSS."""
        before = (family_cpu(self.postgres), cpu(self.kafka, False), cpu(self.serve.pid, False) if self.serve else 0.0)
        started = time.monotonic()
        log_path = os.path.join(self.work, "command.log")
        with open(log_path, "w") as log:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
            out = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            with open(log_path) as log:
                sys.exit(f"{' '.join(command)} ended with {child.returncode}\n{out}\n{log.read()[-3000:]}")
        after = (family_cpu(self.postgres), cpu(self.kafka, False), cpu(self.serve.pid, False) if self.serve else 0.0)
        per = 1e6 / rows
        if out.startswith('{"verb"'):
            # As the baselines count: from the first connection to the last acknowledgement, without loading and unloading the program
            # and the engine's library.
            seconds = json.loads(out)["seconds"]
        return {"seconds": seconds, "out": out, "rss": usage.ru_maxrss / 1024,
                "cpu": {"pgch": (usage.ru_utime + usage.ru_stime) * per, "postgres": (after[0] - before[0]) * per,
                        "kafka": (after[1] - before[1]) * per, "clickhouse": (after[2] - before[2]) * per}}

    def start_serve(self):
        if self.serve:
            return
        port = subprocess.run(["bash", "-c", ". test/support/lib.sh; free_port"], capture_output=True, text=True, check=True).stdout.strip()
        self.serve_url = f"http://127.0.0.1:{port}"
        with open(os.path.join(self.work, "serve.log"), "w") as log:
            self.serve = subprocess.Popen([self.pgch, "serve", "--to", "chdb://" + os.path.join(self.work, "serve-data"), "--port", port],
                                          stdout=log, stderr=log)
        for _ in range(200):
            if subprocess.run(["curl", "-sf", self.serve_url + "/ping"], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit("pgch serve did not answer; see serve.log")

    def stop(self):
        if self.serve:
            self.serve.send_signal(signal.SIGTERM)
            self.serve.wait(30)

    def count(self, config, table):
        out = subprocess.run([self.pgch, "query", "--config", config, "--format", "TSV", f"SELECT count(), uniqExact(id) FROM {table}"],
                             capture_output=True, text=True)
        return out.stdout.split()

    def expect(self, config, rows, table="user_logins"):
        got = self.count(config, table)
        if got != [str(rows), str(rows)]:
            sys.exit(f"expected {rows} rows, each once, at the target and found {got}")

    # The baselines.
    def raw_limit(self, rows):
        table = self.table(rows)
        got = json.loads(self.measure([self.raw, os.environ["PGCH_TEST_PG"], table, str(self.args.batch)], rows)["out"])
        sql(f"DROP TABLE {table}")
        return got["rows"] / got["seconds"]

    def python_produce(self, rows, *tuned):
        table = self.table(rows)
        got = json.loads(self.measure([self.python, "test/bench/baseline/flag_produce.py", "--postgres", os.environ["PGCH_TEST_PG"],
                                       "--bootstrap", os.environ["PGCH_TEST_KAFKA"], "--topic", self.topic(), "--table", table, *tuned], rows)["out"])
        sql(f"DROP TABLE {table}")
        return got["rows"] / got["seconds"]

    def python_consume(self, topic, rows):
        self.start_serve()
        subprocess.run(["curl", "-sf", self.serve_url, "--data-binary",
                        "CREATE OR REPLACE TABLE py_logins (id Int64, user_id Int64, username String, event_type String, "
                        "event_time DateTime64(6,'UTC'), payload Nullable(String)) ENGINE = MergeTree ORDER BY id"], check=True)
        got = json.loads(self.measure([self.python, "test/bench/baseline/json_consume.py", "--bootstrap", os.environ["PGCH_TEST_KAFKA"],
                                       "--topic", topic, "--group", self.name("py"), "--clickhouse", self.serve_url, "--table", "py_logins",
                                       "--rows", str(rows)], rows)["out"])
        return got["rows"] / got["seconds"]

    def topic(self):
        topic = self.name("bench-topic")
        make = ("import sys; from confluent_kafka.admin import AdminClient, NewTopic; "
                "admin = AdminClient({'bootstrap.servers': sys.argv[1]}); "
                "[f.result() for f in admin.create_topics([NewTopic(sys.argv[2], 1, 1)]).values()]")
        subprocess.run([self.python, "-c", make, os.environ["PGCH_TEST_KAFKA"], topic], check=True)
        return topic

    # The cases.
    def flag_produce(self, rows):
        raw = self.raw_limit(rows)
        table, topic = self.table(rows), self.topic()
        config = self.config(table, topic)
        m = self.measure([self.pgch, "produce", "--once", "--quiet", "--json", "--config", config], rows)
        left = sql(f"SELECT count(*) FROM {table} WHERE sent_to_kafka IS NOT TRUE")
        if left != "0":
            sys.exit(f"{left} rows are still unsent")
        python = self.python_produce(min(rows, self.args.python_rows))
        tuned = self.python_produce(min(rows, self.args.python_rows), "--unsent", "sent_to_kafka IS NOT TRUE", "--batch", "10000")
        sql(f"DROP TABLE {table}")
        return self.report("flag-produce", rows, m, [("raw limit of the flag method", raw), ("Python producer, batched", python),
                                                     ("the same with pgch's index and 10 000-row batches", tuned)])

    def filled_topic(self, rows):
        table, topic = self.table(rows), self.topic()
        self.measure([self.pgch, "produce", "--once", "--quiet", "--json", "--config", self.config(table, topic)], rows)
        return table, topic

    def json_consume(self, rows, http=True):
        # Over HTTP, as the Python program: both insert into the same server.
        table, topic = self.filled_topic(rows)
        if http:
            self.start_serve()
        target = self.name("consumed")
        config = self.config(table, topic, self.serve_url if http else None, target)
        m = self.measure([self.pgch, "consume", "--once", "--quiet", "--json", "--config", config], rows)
        self.expect(config, rows, target)
        python = self.python_consume(topic, min(rows, self.args.python_rows * 3))
        sql(f"DROP TABLE {table}")
        return self.report("json-consume" if http else "json-consume-embedded", rows, m, [("Python consumer, 10 000-row inserts", python)])

    def json_consume_embedded(self, rows):
        return self.json_consume(rows, False)

    # Blocks. Produced by a snapshot: the flag method is bounded by PostgreSQL's updates far below what the format takes.
    def native_filled(self, rows):
        table, topic = self.table(rows), self.topic()
        sql(f"VACUUM (ANALYZE) {table}; CHECKPOINT;")
        config = self.config(table, topic, wire="native")
        return table, topic, self.measure([self.pgch, "snapshot", "--quiet", "--json", "--connections", "2", "--config", config], rows)

    def native_produce(self, rows):
        table, topic, m = self.native_filled(rows)
        config = self.config(table, topic, None, self.name("checked"), "native")
        self.measure([self.pgch, "consume", "--once", "--quiet", "--config", config], rows)
        with open(config) as f:
            target = f.read().rpartition('target = "')[2].split('"')[0]
        self.expect(config, rows, target)
        sql(f"DROP TABLE {table}")
        return self.report("native-produce", rows, m, [("wished", 1e6)])

    def native_consume(self, rows):
        table, topic, _ = self.native_filled(rows)
        self.start_serve()
        target = self.name("consumed")
        config = self.config(table, topic, self.serve_url, target, "native")
        m = self.measure([self.pgch, "consume", "--once", "--quiet", "--json", "--config", config], rows)
        self.expect(config, rows, target)
        sql(f"DROP TABLE {table}")
        return self.report("native-consume", rows, m, [("wished", 2e6)])

    def flag_direct(self, rows, http=False):
        raw = self.raw_limit(rows)
        if http:
            self.start_serve()
        table, target = self.table(rows), self.name("direct")
        config = self.config(table, None, self.serve_url if http else None, target)
        m = self.measure([self.pgch, "run", "--once", "--quiet", "--json", "--config", config], rows)
        self.expect(config, rows, target)
        sql(f"DROP TABLE {table}")
        return self.report("flag-http" if http else "flag-direct", rows, m, [("raw limit of the flag method", raw)])

    def flag_http(self, rows):
        return self.flag_direct(rows, True)

    def poll(self, rows, http=False):
        """All rows of a table to which setup has just added its column; the baseline is the bare COPY BINARY of it, into nothing."""
        if http:
            self.start_serve()
        table, target = self.table(rows), self.name("polled")
        config = self.config(table, None, self.serve_url if http else None, target)
        with open(config, "a") as f:
            f.write('method = "poll"\nexclude = ["sent_to_kafka"]\n')
        subprocess.run([self.pgch, "setup", "--apply", "--quiet", "--config", config], check=True, capture_output=True)
        sql(f"VACUUM (ANALYZE) {table}; CHECKPOINT;")
        started = time.monotonic()
        subprocess.run(["psql", os.environ["PGCH_TEST_PG"], "-Xqc", f"COPY {table} ({COLUMNS}) TO STDOUT (FORMAT binary)"], check=True,
                       stdout=subprocess.DEVNULL)
        copy = rows / (time.monotonic() - started)
        m = self.measure([self.pgch, "run", "--once", "--quiet", "--json", "--config", config], rows)
        self.expect(config, rows, target)
        sql(f"DROP TABLE {table}")
        return self.report("poll-http" if http else "poll-direct", rows, m, [("COPY BINARY of the table into nothing", copy)])

    def poll_http(self, rows):
        return self.poll(rows, True)

    # Snapshots, beside what ClickHouse has of its own for it, in the same engine.
    def own_insert(self, table, rows, http, shape):
        """INSERT … SELECT FROM postgresql(…): one query, and two over key ranges side by side. The better, with its CPU by process."""
        source = "postgresql('{}:{}', 'test_db', '{}', '{}', '{}')".format(
            *(os.environ["PGCH_TEST_PG_" + x] for x in ("HOST", "PORT")), table, *(os.environ["PGCH_TEST_PG_" + x] for x in ("USER", "PASSWORD")))
        path = os.path.join(self.work, self.name("own") + ".data")
        def command(statements):
            if http:
                return ["bash", "-c", "for s in \"$@\"; do curl -sf \"$0\" --data-binary \"$s\" & p+=($!); done; for i in \"${p[@]}\"; do wait $i || exit 1; done",
                        self.serve_url, *statements]
            return [self.pgch, "query", "--to", "chdb://" + path, statements[0]]
        best = None
        for ranges in ([""], [f" WHERE id <= {rows // 2}", f" WHERE id > {rows // 2}"]):
            target = self.name("own_logins")
            columns = COLUMNS if shape == "logins" else ", ".join(c.split()[0] for c, _ in SHAPES[shape])
            make = (f"CREATE TABLE {target} (id Int64, user_id Int64, username String, event_type String, event_time DateTime64(6, 'UTC'), "
                    f"payload Nullable(String)) ENGINE = MergeTree ORDER BY id" if shape == "logins" else
                    f"CREATE TABLE {target} ENGINE = MergeTree ORDER BY id AS SELECT {columns} FROM {source} LIMIT 0")
            self.measure(command([make]), rows)
            empty = 0.0 if http else min(self.measure(command(["SELECT 1"]), rows)["seconds"] for _ in range(3))
            selects = [f"SELECT {columns} FROM {source}{where}" for where in ranges]
            if not http:  # one process takes one statement at a time: its threads are side by side
                selects = [" UNION ALL ".join(selects)]
            m = self.measure(command([f"INSERT INTO {target} {select}" for select in selects]), rows)
            m["seconds"] -= empty
            m["form"] = "one query" if len(ranges) == 1 else "two queries side by side"
            count = self.measure(command([f"SELECT count() FROM {target} FORMAT TSV"]), rows)["out"].strip()
            if count != str(rows):
                sys.exit(f"the baseline moved {count} of {rows} rows")
            if best is None or m["seconds"] < best["seconds"]:
                best = m
        return best

    def snapshot(self, rows, http, jsonb=False, shape="logins"):
        if http:
            self.start_serve()
        table, target = self.table(rows, shape), self.name("snap")
        if shape == "logins" and not jsonb:
            sql(f"ALTER TABLE {table} ALTER payload TYPE text; VACUUM (ANALYZE) {table}; CHECKPOINT;")
        own = self.own_insert(table, rows, http, shape)
        config = self.config(table, None, self.serve_url if http else None, target)
        with open(config) as f:  # over TCP, as the other
            text = f.read().replace(os.environ["PGCH_TEST_PG"], os.environ["PGCH_TEST_PG_TCP"])
        with open(config, "w") as f:
            f.write(text)
        m = self.measure([self.pgch, "snapshot", "--quiet", "--json", "--connections", "2", "--config", config, *self.args.snapshot], rows)
        self.expect(config, rows, target)
        sql(f"DROP TABLE {table}")
        name = ("snapshot-http" if http else "snapshot-direct") + ("-jsonb" if jsonb else "" if shape == "logins" else "-" + shape)
        result = self.report(name, rows, m, [("INSERT INTO t SELECT … FROM postgresql(…), " + own["form"], rows / own["seconds"])])
        total, theirs = sum(m["cpu"].values()), sum(own["cpu"].values())
        result["cpu_ratio"] = round(total / theirs, 2)
        print(f"{'':18} {result['cpu_ratio']:>6} × its CPU ({theirs:.2f} s/Mrow: " + ", ".join(f"{k} {v:.2f}" for k, v in own["cpu"].items() if v >= 0.01) + ")",
              flush=True)
        return result

    def report(self, name, rows, m, baselines):
        rate = rows / m["seconds"]
        result = {"name": name, "rows": rows, "seconds": round(m["seconds"], 3), "rows_per_s": round(rate),
                  "cpu_s_per_mrow": {k: round(v, 2) for k, v in m["cpu"].items()}, "peak_rss_mib": round(m["rss"]),
                  "baselines": [{"name": n, "rows_per_s": round(r), "ratio": round(rate / r, 2)} for n, r in baselines]}
        c = result["cpu_s_per_mrow"]
        print(f"{name:18} {rows:>9} rows {result['seconds']:>8.2f} s {result['rows_per_s']:>9} rows/s   CPU s/Mrow: pgch {c['pgch']}, "
              f"PostgreSQL {c['postgres']}, Kafka {c['kafka']}, ClickHouse {c['clickhouse']}   peak RSS {result['peak_rss_mib']} MiB", flush=True)
        for b in result["baselines"]:
            print(f"{'':18} {b['ratio']:>6} × {b['name']} ({b['rows_per_s']} rows/s)", flush=True)
        return result


CASES = {"flag-produce": Bench.flag_produce, "json-consume": Bench.json_consume, "json-consume-embedded": Bench.json_consume_embedded,
         "native-produce": Bench.native_produce, "native-consume": Bench.native_consume, "flag-direct": Bench.flag_direct, "flag-http": Bench.flag_http,
         "poll-direct": Bench.poll, "poll-http": Bench.poll_http,
         **{f"snapshot-{way}{kind}": functools.partial(Bench.snapshot, http=way == "http", jsonb=kind == "-jsonb",
                                                       shape=kind[1:] if kind in ("-wide", "-narrow") else "logins")
            for way in ("direct", "http") for kind in ("", "-jsonb", "-wide", "-narrow")}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--venv", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--json")
    parser.add_argument("--snapshot", action="append", default=[], help="a further argument of pgch snapshot, as in --snapshot=--batch-rows=200000")
    parser.add_argument("--batch", type=int, default=50_000, help="rows of one batch of the raw limit: pgch's own default")
    args = parser.parse_args()
    rows = args.rows or (20_000 if args.quick else 1_000_000)
    args.python_rows = min(rows, 100_000)
    bench = Bench(args)
    results = []
    try:
        for name, case in CASES.items():
            if args.only in (None, name):
                results.append(case(bench, rows))
    finally:
        bench.stop()
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=2)
            f.write("\n")
    print("In the embedded cases (json-consume-embedded, flag-direct) the engine runs inside pgch: its CPU and memory are in pgch's figures.")


if __name__ == "__main__":
    main()
