#!/usr/bin/env python3
"""The methods of S4 end to end on real servers, by the configurations in examples/s4 and the names of its .env.

  s4.py poll|notify|outbox|keys [--kills N] [--seed N]

Fill, transfer, compare: the first filling is no whole number of batches, so the tail is among it; run again and nothing moves; add rows, some of them by
transactions that end late, and just those move; kill each process N times at random moments while rows are being added. In the end every
row is in the user's own plain MergeTree once, raw, and as it is at the source.
"""
import os

from systems import PGCH, ROOT, SYSTEMS, System, fail, parser_of, play, say

SYSTEMS["s4"] = ("source_table", "target_table", "pg-events",
                 "INSERT INTO source_table (name, value) SELECT 'name_' || i, i / 8.0 FROM generate_series(1, {n}) i")
PROCESSES = {"poll": ["run"], "notify": ["run"], "outbox": ["produce", "consume"], "keys": ["produce", "consume"]}


class S4(System):
    def __init__(self, method, seed):
        super().__init__("s4", seed)
        self.method = method
        self.env["CH_TABLE"] = self.target
        if "consume" in PROCESSES[method]:
            del self.env["PGCH_KAFKA_FORMAT"]
            self.env["KAFKA_GROUP"] = f"pg2click-consumer_{os.getpid()}"
        else:
            self.topic = None
            del self.env["KAFKA_BOOTSTRAP"], self.env["KAFKA_TOPIC"], self.env["PGCH_KAFKA_FORMAT"]

    def command(self, verb, *arguments):
        return [PGCH, verb, "-c", os.path.join(ROOT, "examples", "s4", self.method + ".toml"), *arguments]

    def add(self, rows):
        late = "pg_sleep(0.2)" if self.random.random() < 0.3 else "1"
        self.sql(f"BEGIN; {self.insert.format(n=rows)}; SELECT {late}; COMMIT")

    def expect_equal(self, when):
        rows = self.source_rows()
        if self.topic and (got := self.topic_rows()) != [rows, rows]:
            fail(f"{when}: the topic holds {got[0]} messages with {got[1]} keys for {rows} rows")
        source = self.sql("SELECT id || '|' || name || '|' || value FROM source_table ORDER BY id").split("\n")
        target = self.clickhouse("SELECT toString(id) || '|' || name || '|' || toString(value) FROM target_table ORDER BY id").split("\n")
        if source != target:
            fail(f"{when}: {len(target)} rows at the target for {rows}; not at the target: {sorted(set(source) - set(target))[:3]}, only "
                 f"there: {sorted(set(target) - set(source))[:3]}")
        self.pgch("verify")
        say(f"s4 {self.method}: {when}: {rows} rows, each once")

    def run(self, kills):
        self.prepare()
        if not self.topic:
            self.pgch("check", expect=2)
        self.pgch("setup", "--apply")
        self.pgch("check")
        self.transfer()
        self.expect_equal("first transfer")
        self.transfer()
        self.expect_equal("second transfer, nothing new")
        self.add(3)
        self.pgch("verify", expect=3)
        self.transfer()
        self.expect_equal("three new rows")
        self.kills_under_load(kills, [(verb,) for verb in PROCESSES[self.method]])
        self.transfer()
        self.expect_equal(f"after the kills {self.kills}")
        say(f"s4 {self.method}: batches found under way after a kill: {self.found_landed}")


def main():
    parser = parser_of(__doc__)
    parser.add_argument("method", choices=PROCESSES)
    args = parser.parse_args()
    say(f"s4 {args.method}: seed {args.seed}")
    play(S4(args.method, args.seed), args.kills)


if __name__ == "__main__":
    main()
