#!/usr/bin/env python3
"""Bad input and faults, by the command, on real servers: each gets a sentence that says what to do and the right exit status,
shows no secret, and loses nothing.

  errors.py [NAME]…      NAME: a part of a case's name
"""
import os
import signal
import socket
import subprocess
import sys
import time

from errors_world import CASES, DATABASE, PGCH, SECRET, Failed, World, case


@case
def an_unknown_command_names_the_nearest(w):
    w.expect(2, 'did you mean "run"?', "rnu")
    w.expect(2, "--hlep", "run", "--hlep")


@case
def a_misspelt_setting_names_file_line_and_the_right_name(w):
    path = os.path.join(w.dir, "wrong.toml")
    with open(path, "w") as f:
        f.write('[postgres]\nhots = "localhost"\n')
    w.expect(2, 'wrong.toml:2: there is no setting "postgres.hots"; did you mean "postgres.host"?', "run", "-c", path)
    w.expect(2, "did you mean PGCH_BATCH_ROWS?", "run", env={"PGCH_BATHC_ROWS": "5"})
    w.expect(2, 'did you mean "batch.rows"?', "run", "--set", "batch.rosw=5")


@case
def an_unreadable_configuration_is_named(w):
    w.expect(2, "Cannot read the file /nonexistent.toml: No such file", "run", "-c", "/nonexistent.toml")
    path = os.path.join(w.dir, "broken.toml")
    with open(path, "w") as f:
        f.write('pipeline = "x"\n[postgres\n')
    w.expect(2, "broken.toml:2: this is not valid TOML", "run", "-c", path)
    with open(path, "w") as f:
        f.write(f'[postgres]\npassword = "{SECRET}\n')
    w.expect(2, "not valid TOML", "run", "-c", path)


@case
def missing_addresses_and_tables_say_how_to_give_them(w):
    w.expect(2, "--from postgresql://", "run", "--table", "t", env={"PG_HOST": "", "PG_PORT": "", "PG_USER": "", "PG_PASSWORD": "", "PG_DB": ""})
    w.expect(2, "--table", "run")


@case
def a_wrong_password_stops_at_once(w):
    w.table()
    w.expect(1, "password", "run", "--once", "--table", "t", *w.fresh("a"), env={"PG_PASSWORD": SECRET})
    url = f"postgresql://{w.env['PG_USER']}:{SECRET}@{w.env['PG_HOST']}:{w.env['PG_PORT']}/{DATABASE}"
    w.expect(1, "password", "run", "--once", "--table", "t", "--from", url, *w.fresh("a"), env={"PG_PASSWORD": ""})


@case
def unknown_host_and_refused_port(w):
    w.expect(1, "no-such-host.invalid", "check", "--table", "t", *w.fresh("b"), env={"PG_HOST": "no-such-host.invalid"})
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
        w.expect(1, port, "check", "--table", "t", *w.fresh("b"), env={"PG_PORT": port})
        w.table()
        w.expect(1, port, "check", "--table", "t", "--to", f"http://127.0.0.1:{port}")


@case
def missing_table_and_column(w):
    w.expect(2, "nowhere", "run", "--once", "--table", "nowhere", *w.fresh("c"))
    w.table(flag="")
    w.expect(2, "pgch setup", "run", "--once", "--table", "t", *w.fresh("c"))
    w.table()
    w.expect(2, "missing_one", "run", "--once", "--table", "t", "--set", "table.columns=id,missing_one", *w.fresh("c"))


@case
def no_right_to_update(w):
    w.table()
    w.sql(f"DROP ROLE IF EXISTS reader_{DATABASE}; CREATE ROLE reader_{DATABASE} LOGIN PASSWORD '{SECRET}'; GRANT SELECT ON t TO reader_{DATABASE}")
    try:
        out = w.expect(1, "UPDATE", "run", "--once", "--table", "t", *w.fresh("d"), env={"PG_USER": f"reader_{DATABASE}", "PG_PASSWORD": SECRET})
        if "t" not in out.stderr:
            raise Failed(out.stderr)
        w.expect(1, "GRANT UPDATE", "check", "--table", "t", *w.fresh("d"), env={"PG_USER": f"reader_{DATABASE}", "PG_PASSWORD": SECRET})
    finally:
        w.sql(f"DROP OWNED BY reader_{DATABASE}; DROP ROLE reader_{DATABASE}")
    if w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") != "10":
        raise Failed("rows were marked")


@case
def a_flag_column_of_another_type(w):
    w.table(flag="sent_to_kafka text")
    w.expect(2, "boolean", "run", "--once", "--table", "t", *w.fresh("e"))


@case
def a_target_with_a_missing_or_too_narrow_column(w):
    w.table()
    for columns, word in (("id Int32", "note"), ("id Int8, note Nullable(String)", "id"), ("id Int32, note String", "note")):
        there = w.fresh("f" + word + str(len(columns)))
        w.expect(0, "", "query", *there[:2], f"CREATE TABLE t ({columns}, _version UInt64, _deleted UInt8) ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")
        w.expect(2, word, "run", "--once", "--table", "t", *there)
    if w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") != "10":
        raise Failed("rows were marked")


@case
def a_second_process_of_the_same_pipeline(w):
    w.table()
    there = w.fresh("g")
    first = subprocess.Popen([PGCH, "run", "--table", "t", *there], env=w.env, cwd=w.dir, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") != "0":
            if time.monotonic() > deadline or first.poll() is not None:
                raise Failed("the first process moved nothing")
            time.sleep(0.1)
        w.expect(1, "runs already", "run", "--once", "--table", "t", *there)
        w.expect(1, "another process", "query", *there[:2], "SELECT 1")
    finally:
        first.send_signal(signal.SIGTERM)
        out, err = first.communicate(timeout=60)
    if first.returncode != 0:
        raise Failed(f"SIGTERM ended with {first.returncode}: {err}")
    w.expect(0, "equal: 10 rows", "verify", "--table", "t", *there)


@case
def a_library_that_is_missing(w):
    w.table()
    w.expect(2, "libchdb", "run", "--once", "--table", "t", *w.fresh("h"), env={"PGCH_LIBCHDB": "/nonexistent/libchdb.so"})


@case
def kafka_out_of_reach_and_a_topic_that_may_not_be_made(w):
    w.table()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
        w.expect(1, address, "check", "--table", "t", "--kafka", address, *w.fresh("i"))
    topic = f"missing_{DATABASE}"
    w.expect(2, topic, "produce", "--once", "--table", "t", "--kafka", os.environ["PGCH_TEST_KAFKA"], "--topic", topic, "--set", "kafka.create_topic=false",
             "--state", w.dir + "/i/state")
    if w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") != "10":
        raise Failed("rows were marked")


@case
def differences_end_with_three_and_two_messages(w):
    w.table()
    there = w.fresh("j")
    w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", *there)
    w.expect(0, "equal: 10 rows", "verify", "--table", "t", *there)
    w.sql("INSERT INTO t VALUES (11, 'new'), (12, 'new')")
    out = w.expect(3, "The row counts differ: PostgreSQL table t has 12 rows, ClickHouse table t has 10.\n", "verify", "--table", "t", *there)
    if "Table t in PostgreSQL has 2 rows that still have to be moved.\n" not in out.stdout:
        raise Failed(out.stdout)
    w.expect(0, "Done: 2 rows", "run", "--once", "--table", "t", *there)
    w.sql("UPDATE t SET note = 'changed' WHERE id = 3")
    w.expect(3, "not the same values", "verify", "--table", "t", *there)


@case
def values_that_no_column_can_hold_become_dead_letters(w):
    w.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, day date, sent_to_kafka BOOLEAN DEFAULT FALSE); "
          "INSERT INTO t SELECT i, '2024-01-01' FROM generate_series(1, 5) i; INSERT INTO t VALUES (6, 'infinity')")
    there = w.fresh("k")
    w.expect(4, "1 dead letter", "run", "--once", "--table", "t", *there)
    w.expect(3, "no ClickHouse column can hold", "verify", "--table", "t", *there)


@case
def the_state_directory_cannot_be_written(w):
    w.table()
    path = os.path.join(w.dir, "a_file")
    open(path, "w").close()
    w.expect(2, path, "run", "--once", "--table", "t", *w.fresh("l")[:2], "--state", path + "/state")
    if w.sql("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") != "10":
        raise Failed("rows were marked")


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
            except (Failed, subprocess.TimeoutExpired) as problem:
                failed.append(name)
                print(f"FAILED  {name}\n{problem}", flush=True)
    finally:
        world.close()
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed")
    sys.exit(1 if failed or not chosen else 0)


main()
