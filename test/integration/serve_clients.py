#!/usr/bin/env python3
"""clickhouse-connect against `pgch serve`: serve_clients.py PORT [USER PASSWORD]. Ends with "python: ok" or a traceback."""

import datetime
import decimal
import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

port = int(sys.argv[1])
user, password = (sys.argv[2], sys.argv[3]) if len(sys.argv) > 3 else ("default", "")


def connect(**more):
    return clickhouse_connect.get_client(host="127.0.0.1", port=port, username=user, password=password, **more)


def equal(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"


def check(client):
    equal(client.command("SELECT 1"), 1)
    client.command("DROP TABLE IF EXISTS py")
    client.command("""CREATE TABLE py (id UInt64, name String, at DateTime64(6, 'UTC'), price Decimal(18, 4),
                      maybe Nullable(Int32), tags Array(String), kind LowCardinality(String), flag Bool, u UUID)
                      ENGINE = MergeTree ORDER BY id""")
    at = datetime.datetime(2024, 2, 29, 12, 30, 1, 250000, tzinfo=datetime.timezone.utc)
    uuid = "61f0c404-5cb3-11e7-907b-a6006ad3dba0"
    rows = [[i, f"näme\t{i}\n\n", at, decimal.Decimal("1.2500"), None if i % 2 else -i, ["a", "b"], f"k{i % 3}", bool(i % 2), uuid]
            for i in range(5000)]
    summary = client.insert("py", rows, column_names=["id", "name", "at", "price", "maybe", "tags", "kind", "flag", "u"])
    equal(summary.written_rows, 5000)
    result = client.query("SELECT * FROM py ORDER BY id")
    equal(len(result.result_rows), 5000)
    row = result.result_rows[4999]
    equal(row[1], "näme\t4999\n\n")
    equal(row[2].replace(tzinfo=datetime.timezone.utc), at)
    equal((row[3], row[4], row[5], row[6], row[7], str(row[8])), (decimal.Decimal("1.25"), None, ["a", "b"], "k1", True, uuid))
    equal(client.query("SELECT count() FROM py WHERE id >= {n:UInt64} AND name LIKE {s:String}",
                       parameters={"n": 4000, "s": "n%"}).first_row[0], 1000)
    equal(client.query("SELECT getSetting('max_threads')", settings={"max_threads": 3}).first_row[0], 3)
    with client.query_row_block_stream("SELECT number, toString(number) FROM numbers(500000)") as stream:
        equal(sum(len(block) for block in stream), 500000)
    client.raw_insert("py", column_names=["id", "name"], insert_block=b"900000,raw\n", fmt="CSV")
    equal(client.raw_query("SELECT name FROM py WHERE id = 900000", fmt="TSV"), b"raw\n")
    for sql, code in (("SELECT * FROM no_such_table", 60), ("SELEC 1", 62), ("SELECT no_such_column FROM py", 47)):
        try:
            client.query(sql)
        except DatabaseError as e:
            assert f"code: {code}" in str(e).lower(), str(e)
        else:
            raise AssertionError(f"no error for {sql}")
    try:
        client.query("SELECT throwIf(number = 3000000) FROM numbers(10000000)")
    except ClickHouseError as e:
        assert "395" in str(e) or "FUNCTION_THROW_IF" in str(e), str(e)
    else:
        raise AssertionError("an error in the middle of the answer was not seen")
    client.command("DROP TABLE py")


for compress in (True, False, "lz4", "zstd", "gzip"):
    check(connect(compress=compress))
session = connect(session_id="py-session")
session.command("CREATE TEMPORARY TABLE kept (a Int32)")
session.command("INSERT INTO kept VALUES (1), (2)")
equal(session.query("SELECT sum(a) FROM kept").first_row[0], 3)
session.command("SET max_threads = 2")
equal(session.query("SELECT getSetting('max_threads')", settings={"max_threads": 5}).first_row[0], 5)
equal(session.query("SELECT getSetting('max_threads')").first_row[0], 2)
try:
    clickhouse_connect.get_client(host="127.0.0.1", port=port, username="nobody", password="wrong")
except ClickHouseError as e:
    assert "516" in str(e), str(e)
else:
    raise AssertionError("a wrong password was taken")
print("python: ok")
