#!/usr/bin/env python3
"""The flag method as a careful Python program does it, in batches: what pgch's producer is compared with.

One transaction for each batch: lock the unsent rows, produce them as JSON, wait for every delivery, mark exactly those
rows, commit. As S0 to S3 have it: 1000 rows a batch, `flag = FALSE`. Its speed hangs on whether an index serves that: on a
million rows 14 000 rows/s without one, 60 000 with a partial index on exactly this condition (--unsent). Prints one JSON line: {"rows": …, "seconds": …, "cpu_seconds": …}.
"""
import argparse
import json
import resource
import sys
import time

import psycopg2
from confluent_kafka import Producer


def send(producer, topic, names, rows, failed):
    for row in rows:
        value = json.dumps(dict(zip(names, row)), default=lambda v: v.isoformat(), separators=(",", ":"))
        while True:
            try:
                producer.produce(topic, value, key=str(row[0]), on_delivery=failed)
                break
            except BufferError:  # the local queue is full
                producer.poll(0.05)
        producer.poll(0)
    producer.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", required=True, help="conninfo")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--table", default="user_logins")
    parser.add_argument("--columns", default="id,user_id,username,event_type,event_time,payload", help="the key comes first")
    parser.add_argument("--flag", default="sent_to_kafka")
    parser.add_argument("--unsent", help="SQL condition for rows to send; default: FLAG = FALSE")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=0, help="stop after as many rows; 0: when nothing is left")
    args = parser.parse_args()

    names = args.columns.split(",")
    key, unsent = names[0], args.unsent or f"{args.flag} = FALSE"
    errors = []
    producer = Producer({
        "bootstrap.servers": args.bootstrap, "enable.idempotence": True, "acks": "all", "compression.type": "lz4",
        "linger.ms": 5, "queue.buffering.max.messages": 200_000,
    })
    connection = psycopg2.connect(args.postgres)
    cursor = connection.cursor()
    started, rows = time.monotonic(), 0
    while not args.rows or rows < args.rows:
        limit = min(args.batch, args.rows - rows) if args.rows else args.batch
        cursor.execute(f"SELECT {args.columns} FROM {args.table} WHERE {unsent} ORDER BY {key} "
                       "LIMIT %s FOR UPDATE SKIP LOCKED", (limit,))
        batch = cursor.fetchall()
        if not batch:
            break
        send(producer, args.topic, names, batch, lambda error, _: errors.append(error) if error else None)
        if errors:
            connection.rollback()
            sys.exit(f"not delivered: {errors[0]}")
        cursor.execute(f"UPDATE {args.table} SET {args.flag} = TRUE WHERE {key} = ANY(%s)", ([row[0] for row in batch],))
        connection.commit()
        rows += len(batch)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"rows": rows, "seconds": round(time.monotonic() - started, 3),
                      "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3)}))


if __name__ == "__main__":
    main()
