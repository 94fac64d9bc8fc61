"""ClickHouse: not there, not let in, columns that are missing or too narrow, the engine's own troubles."""
import os
import socket

from errors_world import OLD, SECRET, case


@case
def an_unknown_host_and_a_refused_port_of_clickhouse(w):
    w.table()
    state = ["--state", os.path.join(w.dir, "unreachable")]
    w.expect(1, "no-such-host.invalid", "run", "--once", "--table", "t", "--to", "http://no-such-host.invalid:8123", *state)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
        w.expect(1, port, "run", "--once", "--table", "t", "--to", f"http://127.0.0.1:{port}", *state)
    w.expect_unsent(10)


@case
def a_wrong_password_of_clickhouse(w):
    w.table()
    state = ["--state", os.path.join(w.dir, "who")]
    server, url = w.serve(os.path.join(w.dir, "who.data"), "--user", "writer", env={"PGCH_SERVE_PASSWORD_writer": "right-one"})
    for to, user in ((url, "writer"), (url, "nobody"), (OLD, "nobody")):
        w.expect(1, ["password", "user"], "run", "--table", "t", "--to", to, *state, env={"CH_USER": user, "CH_PASSWORD": SECRET})
    w.expect_unsent(10)
    server.end()


@case
def a_target_with_a_missing_or_too_narrow_column(w):
    w.table()
    server, url = w.serve(os.path.join(w.dir, "narrow.data"))
    for columns, word in (("id Int32", "note"), ("id Int8, note Nullable(String)", "id"), ("id Int32, note String", "note"),
                          ("id Int32, note Nullable(FixedString(2))", "note"), ("id Int32, note Nullable(String), extra Int32", None)):
        embedded = w.fresh("f" + str(len(columns)))
        for to in (embedded[:2], ["--to", url], ["--to", OLD]):
            w.query(to, "DROP TABLE IF EXISTS t")
            w.query(to, f"CREATE TABLE t ({columns}, _version UInt64, _deleted UInt8) ENGINE = ReplacingMergeTree(_version) ORDER BY id")
            if word:
                w.expect(2, [word, "ALTER TABLE" if columns == "id Int32" else "column"], "run", "--once", "--table", "t", *to, *embedded[2:])
                w.expect_unsent(10)
                continue
            # A column that only the target has takes its default.
            w.sql("UPDATE t SET sent_to_kafka = FALSE")
            w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", *to, "--state", embedded[3] + to[1].rsplit(":", 1)[1].replace("/", ""))
            w.expect_once(to, 10)
    w.query(["--to", OLD], "DROP TABLE t")
    server.end()


@case
def a_target_table_that_is_missing_and_may_not_be_made(w):
    w.table()
    there = w.fresh("notmade")
    w.expect(2, ["`t`", "create"], "run", "--once", "--table", "t", "--set", "table.create=false", *there)
    w.expect(2, "nowhere", "run", "--once", "--table", "t", "--target", "nowhere.t", "--set", "table.create=false", *there)
    w.expect_unsent(10)


@case
def a_library_that_is_missing(w):
    w.table()
    w.expect(2, ["libchdb", "PGCH_LIBCHDB"], "run", "--once", "--table", "t", *w.fresh("h"), env={"PGCH_LIBCHDB": "/nonexistent/libchdb.so"})
    w.expect_unsent(10)


@case
def an_engine_directory_that_cannot_be_opened(w):
    """Not by another process, but because a table's definition is empty, as a full disk once left it."""
    w.table()
    there = w.fresh("hurt")
    w.query(there, "CREATE TABLE other (id Int32) ENGINE = MergeTree ORDER BY id")
    found = [os.path.join(d, f) for d, _, files in os.walk(there[1][len("chdb://"):]) for f in files if f == "other.sql"]
    open(found[0], "w").close()
    out = w.expect(1, [os.path.realpath(found[0]), "is empty", "backup"], "run", "--once", "--table", "t", *there)
    assert "another process" not in out.stderr
    w.expect_unsent(10)
    os.unlink(found[0])
    w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", *there)
    w.expect_once(there, 10)


@case
def the_state_directory_cannot_be_written(w):
    w.table()
    path = os.path.join(w.dir, "a_file")
    open(path, "w").close()
    w.expect(2, path, "run", "--once", "--table", "t", *w.fresh("l")[:2], "--state", path + "/state")
    w.expect(2, [path, "state"], "run", "--once", "--table", "t", *w.fresh("l")[:2], "--state", path)
    w.expect_unsent(10)


@case
def a_damaged_journal_stops_the_pipeline(w):
    w.table()
    there = w.fresh("damaged")
    w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", *there)
    journal = os.path.join(there[3], "pgch.t.journal")
    with open(journal, "r+b") as f:
        f.seek(3)
        f.write(b"\0\0\0\0")
    w.sql("INSERT INTO t VALUES (11, 'new')")
    w.expect(1, [journal, "pgch verify", "move it away"], "run", "--once", "--table", "t", *there)
    w.expect_unsent(1)
    os.unlink(journal)
    w.expect(0, "Done: 1 row", "run", "--once", "--table", "t", *there)
    w.expect_once(there, 11)
