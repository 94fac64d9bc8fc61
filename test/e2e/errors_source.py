"""PostgreSQL: who may not in, what is not there, what may not be done, what does not fit."""
import os
import socket

from errors_world import DATABASE, SECRET, Command, Failed, case, expect_equal, wait_until


@case
def a_wrong_password_stops_at_once(w):
    w.table()
    w.expect(1, "check user and password", "run", "--once", "--table", "t", *w.fresh("a"), env={"PG_PASSWORD": SECRET})
    url = f"postgresql://{w.env['PG_USER']}:{SECRET}@{w.env['PG_HOST']}:{w.env['PG_PORT']}/{DATABASE}"
    w.expect(1, "check user and password", "run", "--once", "--table", "t", "--from", url, *w.fresh("a"), env={"PG_PASSWORD": ""})
    # Not only with --once: it does not get better by waiting.
    w.expect(1, "check user and password", "run", "--table", "t", *w.fresh("a"), env={"PG_PASSWORD": SECRET})
    w.expect_unsent(10)


@case
def an_unknown_host_of_postgresql(w):
    w.expect(1, ["no-such-host.invalid", "check the host"], "run", "--once", "--table", "t", *w.fresh("b"), env={"PG_HOST": "no-such-host.invalid"})


@case
def a_refused_port_of_postgresql(w):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
        w.expect(1, [port, "check host and port"], "run", "--once", "--table", "t", *w.fresh("b"), env={"PG_PORT": port})


@case
def an_unknown_database_and_an_unknown_user(w):
    w.expect(2, ["no_such_database", "check the database's name"], "run", "--once", "--table", "t", *w.fresh("b"), env={"PG_DB": "no_such_database"})
    w.expect(1, "check user", "run", "--once", "--table", "t", *w.fresh("b"), env={"PG_USER": "nobody_here", "PG_PASSWORD": SECRET})


@case
def a_missing_table(w):
    w.expect(2, ["nowhere", "check the"], "run", "--once", "--table", "nowhere", *w.fresh("c"))
    w.expect(2, ["nowhere", "check the name, the schema"], "run", "--once", "--table", "other.nowhere", *w.fresh("c"))


@case
def a_missing_column(w):
    w.table(flag="")
    w.expect(2, ["sent_to_kafka", "pgch setup"], "run", "--once", "--table", "t", *w.fresh("c"))
    w.table()
    w.expect(2, "missing_one", "run", "--once", "--table", "t", "--set", "table.columns=id,missing_one", *w.fresh("c"))
    w.expect(2, "missing_one", "run", "--once", "--table", "t", "--set", "table.key=missing_one", *w.fresh("c"))
    w.expect_unsent(10)


@case
def a_column_that_goes_away_while_pgch_runs(w):
    w.table()
    there = w.fresh("gone")
    running = Command(w, "run", "--table", "t", *there)
    wait_until(lambda: w.unsent() == 0, "the first rows are moved", running)
    w.sql("ALTER TABLE t DROP COLUMN note")
    w.sql("INSERT INTO t SELECT i FROM generate_series(11, 20) i")
    running.wait(timeout=60)
    if running.returncode != 2 or "start pgch again" not in running.said() and "restart pgch" not in running.said():
        raise Failed(f"{running.returncode}: {running.said()}")
    w.expect_unsent(10)
    w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", *there)
    w.expect_once(there, 20)


@case
def no_right_to_update_or_to_read(w):
    w.table()
    role = f"reader_{DATABASE}"
    w.sql(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'; GRANT SELECT ON t TO {role}")
    as_reader = {"PG_USER": role, "PG_PASSWORD": SECRET}
    try:
        w.expect(1, ["UPDATE", "GRANT", "t"], "run", "--once", "--table", "t", *w.fresh("d"), env=as_reader)
        w.expect(1, "GRANT UPDATE", "check", "--table", "t", *w.fresh("d"), env=as_reader)
        w.sql(f"REVOKE SELECT ON t FROM {role}; GRANT UPDATE ON t TO {role}")
        w.expect(1, "GRANT", "run", "--once", "--table", "t", *w.fresh("d"), env=as_reader)
        # All that it takes, and no more.
        w.sql(f"REVOKE UPDATE ON t FROM {role}; GRANT SELECT, UPDATE (sent_to_kafka) ON t TO {role}")
        w.expect_unsent(10)
        there = w.fresh("d")
        w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", *there, env=as_reader)
        w.expect_once(there, 10)
    finally:
        w.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
    w.expect_unsent(0)


@case
def a_table_without_key(w):
    w.table(key="")
    there = w.fresh("keyless")
    w.expect(2, ["no key", "ADD PRIMARY KEY", "table.key"], "run", "--once", "--table", "t", *there)
    w.expect(2, ["no key", "primary key", "table.key"], "setup", "--apply", "--table", "t", *there)
    w.expect(2, "SET NOT NULL", "run", "--once", "--table", "t", "--set", "table.key=id", *there)
    w.expect_unsent(10)
    w.sql("ALTER TABLE t ALTER COLUMN id SET NOT NULL")
    w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", "--set", "table.key=id", *there)
    w.expect_once(there, 10)


@case
def a_flag_column_of_another_type(w):
    for flag in ("sent_to_kafka text", "sent_to_kafka int DEFAULT 0", "sent_to_kafka timestamptz"):
        w.table(flag=flag)
        w.expect(2, ["sent_to_kafka", "boolean"], "run", "--once", "--table", "t", *w.fresh("e"))
        w.expect(2, "boolean", "check", "--table", "t", *w.fresh("e"))
        expect_equal(w.sql("SELECT count(*) FROM t WHERE sent_to_kafka::text NOT IN ('0')"), "0", "rows that were marked")


@case
def values_that_no_column_can_hold_become_dead_letters(w):
    w.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, day date, sent_to_kafka BOOLEAN DEFAULT FALSE); "
          "INSERT INTO t SELECT i, '2024-01-01' FROM generate_series(1, 5) i; INSERT INTO t VALUES (6, 'infinity')")
    there = w.fresh("k")
    w.expect(4, "1 dead letter", "run", "--once", "--table", "t", *there)
    w.expect(3, "no ClickHouse column can hold", "verify", "--table", "t", *there)
    w.expect_once(there, 5)
    with open(os.path.join(there[3], "pgch.t.dead.jsonl"), encoding="utf-8") as dead:
        expect_equal(len(dead.readlines()), 1, "dead letters")


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
