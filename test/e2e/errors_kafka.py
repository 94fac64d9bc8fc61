"""Kafka: not there, no topic, messages that are too large, and messages that are no rows."""
import os
import re
import socket

from errors_world import DATABASE, Failed, case, expect_equal, make_topic, read_topic, send, send_lines

BIG = 10_000_000
TYPES = ["--set", "table.types=id Int32,note Nullable(String),amount Nullable(Int64)", "--set", "table.key=id"]
NO_POSTGRES = {"PG_HOST": "", "PG_PORT": "", "PG_USER": "", "PG_PASSWORD": "", "PG_DB": ""}

# What can't be a row: (what, key, value, a word of the reason).
BAD = [
    ("cut short", "1", b'{"id": 1, "note": ', "JSON"),
    ("no JSON", "2", b"id=2;note=x", "JSON"),
    ("a list", "3", b'[{"id": 3}]', "not an object"),
    ("something behind", "4", b'{"id": 4, "note": "x", "amount": 1} {"id": 5}', "behind"),
    ("text for a number", "5", b'{"id": "five", "note": "x", "amount": 1}', "id"),
    ("text for another", "6", b'{"id": 6, "note": "x", "amount": "much"}', "amount"),
    ("a fraction", "7", b'{"id": 7, "note": "x", "amount": 1.5}', "amount"),
    ("a number for text", None, b'{"id": 8, "note": {"a": [}, "amount": 1}', ""),
    ("true for a number", "9", b'{"id": true, "note": "x", "amount": 1}', "id"),
    ("null where none may be", "10", b'{"id": null, "note": "x", "amount": 1}', "id"),
    ("the key is missing", "11", b'{"note": "x", "amount": 1}', "id"),
    ("an unknown field", "12", b'{"id": 12, "note": "x", "amount": 1, "extra": 1}', "extra"),
    ("no bytes", "13", b"", "empty"),
    ("no bytes, no key", None, b"", "empty"),
    ("not UTF-8", "15", b'{"id": 15, "note": "\xff\xfe", "amount": 1}', "UTF-8"),
    ("half a surrogate pair", "16", b'{"id": 16, "note": "\\ud800", "amount": 1}', "note"),
    ("too deep", "17", b'{"id": 17, "note": ' + b"[" * 100 + b"]" * 100 + b', "amount": 1}', "deep"),
    ("far too deep", "18", b"[" * 200_000, ""),
    ("too large a number", "19", b'{"id": 99999999999, "note": "x", "amount": 1}', "id"),
    ("a huge number", "20", b'{"id": 20, "note": "x", "amount": 1e400}', "amount"),
    ("a number of many digits", "21", b'{"id": 21, "note": "x", "amount": ' + b"9" * 5000 + b"}", "amount"),
    ("a field twice", "22", b'{"id": 22, "id": 23, "note": "x", "amount": 1}', "twice"),
    ("zero bytes", "23", b"\0" * 100, ""),
    ("a tombstone without key", None, None, "key"),
]


def good(i):
    return f'{{"id": {i}, "note": "n{i}", "amount": {i}}}'.encode()


@case
def an_unknown_host_and_a_refused_port_of_kafka(w):
    w.table()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        for address in (f"127.0.0.1:{s.getsockname()[1]}", "no-such-host.invalid:9092"):
            w.expect(1, [address, "bootstrap"], "produce", "--once", "--table", "t", "--kafka", address, *w.fresh("i")[2:])
    w.expect_unsent(10)


@case
def a_missing_topic(w):
    w.table()
    topic = f"missing_{DATABASE}"
    for verb in ("produce", "consume"):
        w.expect(2, [topic, "does not exist", "create it"], verb, "--once", "--table", "t", *w.kafka(topic), "--set", "kafka.create_topic=false",
                 "--state", os.path.join(w.dir, "missing"))
    w.expect_unsent(10)
    w.expect(2, "is not a topic's name", "produce", "--once", "--table", "t", *w.kafka("no topic"), "--state", os.path.join(w.dir, "missing"))
    w.expect_unsent(10)


@case
def a_row_too_large_for_the_topic_is_a_dead_letter(w):
    w.table()
    w.sql("INSERT INTO t VALUES (11, repeat('x', 2000000)), (12, 'small')")
    topic, state = f"large_{DATABASE}", os.path.join(w.dir, "large")
    w.expect(4, "1 dead letter", "produce", "--once", "--table", "t", *w.kafka(topic), "--state", state)
    w.expect_unsent(0)
    with open(os.path.join(state, "pgch.t.dead.jsonl"), encoding="utf-8") as dead:
        lines = dead.readlines()
    expect_equal(len(lines), 1, "dead letters")
    if not re.search("max.message.bytes = .*raise", lines[0]) or len(lines[0]) < 2_000_000:
        raise Failed(lines[0][:300])
    there = w.fresh("large.to")
    w.expect(0, "Done: 11 rows", "consume", "--once", "--table", "t", *w.kafka(topic), *there)
    w.expect_once(there, 11)


@case
def ten_megabytes_both_ways(w):
    """A row that a wider topic takes, JSON of others, and junk, which lies in the dead letters whole."""
    w.table()
    w.sql(f"INSERT INTO t VALUES (11, repeat('x', {BIG}))")
    topic = f"ten_{DATABASE}"
    make_topic(topic, max_message_bytes=15_000_000)
    w.expect(0, "Done: 11 rows", "produce", "--once", "--table", "t", *w.kafka(topic), "--state", os.path.join(w.dir, "ten"))
    w.expect_unsent(0)
    send(topic, b'{"id": 12, "note": "' + b"y" * BIG + b'"}', "12")
    junk = os.urandom(BIG)
    send(topic, junk, "13")
    send(topic, b'{"id": 14, "note": "z"}', "14")
    there = w.fresh("ten.to")
    w.expect(4, "1 dead letter", "consume", "--once", "--table", "t", *w.kafka(topic), *there)
    w.expect_once(there, 13)
    expect_equal(w.query(there, "SELECT id, length(note) FROM t WHERE length(note) > 9 ORDER BY id"), f"11\t{BIG}\n12\t{BIG}", "long texts")
    dead = read_topic(topic + ".dlq")
    expect_equal(len(dead), 1, "dead letters")
    if dead[0][:2] != (b"13", junk):
        raise Failed(f"the dead letter is not the message: {len(dead[0][1] or b'')} bytes, {dead[0][2]}")
    # Beyond what the consumer may parse, they are dead letters without a look.
    other = w.fresh("ten.other")
    w.expect(4, "3 dead letters", "consume", "--once", "--table", "t", *w.kafka(topic, "other_" + topic), "--set", "kafka.json_max=1MiB", *other)
    w.expect_once(other, 11)
    expect_equal([len(value) > BIG - 1 for _, value, _ in read_topic(topic + ".dlq")], [True] * 4, "whole messages among the dead letters")


@case
def messages_that_are_no_rows_lie_among_good_ones(w):
    topic = f"bad_{DATABASE}"
    make_topic(topic)
    for i, (_, key, value, _) in enumerate(BAD):
        send(topic, good(1000 + i), None if i % 2 else str(1000 + i))  # a null key is nothing bad
        send(topic, value, key)
    send(topic, good(2000), "2000")
    send(topic, None, "1000")  # a deletion
    there = w.fresh("bad")
    rows = len(BAD) + 1  # of which one is deleted: its row and the deletion are both there until ClickHouse merges them
    arguments = ["consume", "--once", "--table", "t", *w.kafka(topic), *TYPES, *there]
    w.expect(4, f"{len(BAD)} dead letters", *arguments, env=NO_POSTGRES)
    raw = "SELECT count() - uniqExact(id, _version), uniqExact(id), countIf(_deleted = 1) FROM t"
    expect_equal(w.query(there, raw), f"0\t{rows}\t1", "rows stored twice, keys and deletions")
    expect_equal(w.query(there, f"SELECT count() FROM t FINAL WHERE _deleted = 0 AND note = concat('n', toString(id)) AND amount = id"), str(rows - 1), "rows as they were")
    dead = read_topic(topic + ".dlq")
    wanted = [(key.encode() if key else None, value) for _, key, value, _ in BAD]
    expect_equal([m[:2] for m in dead], wanted, "dead letters, byte by byte")
    for (what, _, _, word), (_, _, headers) in zip(BAD, dead):
        if word not in headers or "pgch-offset=" not in headers or f"pgch-topic={topic}" not in headers:
            raise Failed(f"{what}: \"{word}\" is not in {headers}")
        if "hunter" in headers or "five" in headers or "much" in headers:
            raise Failed(f"a value is shown: {headers}")
    # Again: nothing more, nothing twice.
    w.expect(0, "Done: 0 rows", *arguments, env=NO_POSTGRES)
    expect_equal(w.query(there, raw), f"0\t{rows}\t1", "rows stored twice, keys and deletions after a second run")
    expect_equal(len(read_topic(topic + ".dlq")), len(BAD), "dead letters after a second run")


@case
def unknown_fields_by_each_policy(w):
    topic = f"fields_{DATABASE}"
    make_topic(topic)
    for i in range(3):
        send(topic, good(i), str(i))
    send(topic, b'{"id": 3, "note": "n", "amount": 1, "extra": {"a": [1]}}', "3")
    send(topic, b'{"id": 4, "note": "n", "amount": 1, "other": null}', "4")
    for name, settings, status, rows, dead in (("refused", [], 4, 3, 2), ("listed", ["--set", "kafka.ignore_fields=extra"], 4, 4, 1),
                                               ("all", ["--set", "kafka.ignore_unknown_fields=true"], 0, 5, 0)):
        there = w.fresh("fields." + name)
        w.expect(status, f"Done: {rows} rows", "consume", "--once", "--table", "t", *w.kafka(topic, name + topic), *TYPES,
                 "--set", "kafka.dead_letter_topic=" + topic + "." + name, *settings, *there, env=NO_POSTGRES)
        w.expect_once(there, rows)
        if dead:
            expect_equal(len(read_topic(topic + "." + name)), dead, "dead letters where fields are " + name)


@case
def a_topic_of_nothing_but_junk_is_not_poured_into_the_dead_letters(w):
    topic = f"junk_{DATABASE}"
    make_topic(topic)
    send_lines(topic, [f"junk {i}" for i in range(3000)])
    there = w.fresh("junk")
    w.expect(2, ["not the messages that are wrong", topic], "consume", "--once", "--table", "t", *w.kafka(topic), *TYPES, *there, env=NO_POSTGRES)

