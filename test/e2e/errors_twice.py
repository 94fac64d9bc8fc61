"""The same pipeline, the same table, the same directory twice."""
import os

from errors_world import DATABASE, Command, case, wait_until


@case
def a_second_process_of_the_same_pipeline(w):
    w.table()
    there = w.fresh("g")
    first = Command(w, "run", "--table", "t", *there)
    wait_until(lambda: w.unsent() == 0, "the first process moves the rows", first)
    w.expect(1, "runs already", "run", "--once", "--table", "t", *there)
    first.end()
    w.expect(0, "equal: 10 rows", "verify", "--table", "t", *there)
    w.expect_once(there, 10)


@case
def a_second_process_with_the_engines_directory(w):
    w.table()
    there = w.fresh("g2")
    server, url = w.serve(there[1][len("chdb://"):])
    for arguments in (("query", *there[:2], "SELECT 1"), ("run", "--once", "--table", "t", *there),
                      ("serve", *there[:2], "--port", "0")):
        w.expect(1, ["another process", "pgch serve"], *arguments)
    w.expect_unsent(10)
    w.expect(0, "Done: 10 rows", "run", "--once", "--table", "t", "--to", url, *there[2:])
    w.expect_once(["--to", url], 10)
    server.end()


@case
def a_second_process_of_the_same_table_with_a_state_of_its_own(w):
    """What the journal's lock can't see, the advisory lock does."""
    w.table()
    first = Command(w, "run", "--table", "t", *w.fresh("h1"))
    wait_until(lambda: w.unsent() == 0, "the first process moves the rows", first)
    w.sql("INSERT INTO t SELECT i, 'n' FROM generate_series(11, 20) i")
    there = w.fresh("h2")
    w.expect(1, ["t", "another"], "run", "--once", "--table", "t", *there)
    w.expect(1, ["t", "another"], "run", "--once", "--table", "t", "--pipeline", "other", *there)
    wait_until(lambda: w.unsent() == 0, "the first process moves the new rows", first)
    first.end()
    w.expect_once(w.fresh("h1"), 20)


@case
def two_producers_of_the_same_stream(w):
    w.table()
    topic = f"twice_{DATABASE}"
    first = Command(w, "produce", "--table", "t", *w.kafka(topic), "--state", os.path.join(w.dir, "p1"))
    wait_until(lambda: w.unsent() == 0, "the first producer sends the rows", first)
    w.expect(1, "runs already", "produce", "--once", "--table", "t", *w.kafka(topic), "--state", os.path.join(w.dir, "p1"))
    w.expect(1, ["t", "another", "share"], "produce", "--once", "--table", "t", *w.kafka(topic), "--state", os.path.join(w.dir, "p2"))
    first.end()
    w.expect(0, "Done: 0 rows", "produce", "--once", "--table", "t", *w.kafka(topic), "--state", os.path.join(w.dir, "p2"))
    there = w.fresh("p3")
    w.expect(0, "Done: 10 rows", "consume", "--once", "--table", "t", *w.kafka(topic), *there)
    w.expect_once(there, 10)


@case
def two_consumers_of_one_group_share_the_topic(w):
    w.table(rows=1000)
    topic = f"shared_{DATABASE}"
    server, url = w.serve(os.path.join(w.dir, "shared.data"))
    consumers = [Command(w, "consume", "--table", "t", *w.kafka(topic), "--to", url, "--state", os.path.join(w.dir, f"c{i}")) for i in range(2)]
    w.expect(0, "Done: 1 000 rows", "produce", "--once", "--table", "t", *w.kafka(topic), "--state", os.path.join(w.dir, "ps"))
    wait_until(lambda: w.pgch("query", "--to", url, "SELECT count() FROM t").stdout.strip() == "1000", "the rows arrive", consumers[0])
    for consumer in consumers:
        consumer.end()
    w.expect_once(["--to", url], 1000)
    server.end()
