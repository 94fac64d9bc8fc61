#!/usr/bin/env python3
"""Kafka JSON into ClickHouse as a careful Python program does it: what pgch's consumer is compared with.

Inserts of 10 000 rows, and the offsets committed only after each insert. Ends after --rows messages, or when none has come
for --idle seconds (which are not counted). Prints one JSON line: {"rows": …, "seconds": …, "cpu_seconds": …}.
"""
import argparse
import json
import resource
import sys
import time
from datetime import datetime
from urllib.parse import urlsplit

import clickhouse_connect
from confluent_kafka import Consumer


def to_row(message, names, times):
    if message.error():
        sys.exit(f"Kafka: {message.error()}")
    event = json.loads(message.value())
    row = []
    for name in names:
        value = event[name]
        if name in times:
            value = datetime.fromisoformat(value)
        elif isinstance(value, (dict, list)):
            value = json.dumps(value)
        row.append(value)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", default="baseline")
    parser.add_argument("--clickhouse", required=True, help="http://user:password@host:port")
    parser.add_argument("--table", default="user_logins", help="table, or database.table")
    parser.add_argument("--columns", default="id,user_id,username,event_type,event_time,payload")
    parser.add_argument("--times", default="event_time", help="the columns that are times")
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--idle", type=float, default=3.0)
    args = parser.parse_args()

    names, times = args.columns.split(","), set(args.times.split(","))
    url = urlsplit(args.clickhouse)
    database, _, table = args.table.rpartition(".")
    client = clickhouse_connect.get_client(host=url.hostname, port=url.port, username=url.username or "default",
                                           password=url.password or "", database=database or "default")
    consumer = Consumer({"bootstrap.servers": args.bootstrap, "group.id": args.group, "enable.auto.commit": False,
                         "auto.offset.reset": "earliest"})
    consumer.subscribe([args.topic])

    rows, batch, started, ended, heard = 0, [], None, None, time.monotonic()
    while not args.rows or rows < args.rows:
        messages = consumer.consume(args.batch - len(batch), timeout=0.2)
        now = time.monotonic()
        if messages:
            heard = now
            started = started or now
        batch.extend(to_row(message, names, times) for message in messages)
        full = len(batch) >= args.batch or (args.rows and rows + len(batch) >= args.rows)
        if batch and (full or not messages):
            client.insert(table, batch, column_names=names)
            consumer.commit(asynchronous=False)
            rows += len(batch)
            batch = []
            ended = time.monotonic()
        if not messages and now - heard > args.idle and (started or not args.rows):
            break
    consumer.close()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"rows": rows, "seconds": round((ended or 0) - (started or 0), 3),
                      "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3)}))


if __name__ == "__main__":
    main()
