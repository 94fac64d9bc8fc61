"""What the cases of errors.py and operating.py share: a database, the command."""
import os
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PGCH = os.environ.get("PGCH", os.path.join(ROOT, "build", "dev", "cli", "pgch"))
SECRET = "hunter2-do-not-show"
DATABASE = f"errors_{os.getpid()}"
CASES = []


def case(function):
    CASES.append((function.__name__.replace("_", " "), function))
    return function


class Failed(Exception):
    pass


class World:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="pgch-errors.")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PG_", "CH_", "KAFKA_", "PGCH_"))}
        self.env.update({"PG_HOST": os.environ["PGCH_TEST_PG_HOST"], "PG_PORT": os.environ["PGCH_TEST_PG_PORT"], "PG_USER": os.environ["PGCH_TEST_PG_USER"],
                         "PG_PASSWORD": os.environ["PGCH_TEST_PG_PASSWORD"], "PG_DB": DATABASE, "PGCH_LIBCHDB": os.environ["PGCH_LIBCHDB"]})

    def close(self):
        self.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", "postgres")
        shutil.rmtree(self.dir, ignore_errors=True)

    def sql(self, statement, database=DATABASE):
        out = subprocess.run(["psql", "-h", self.env["PG_HOST"], "-p", self.env["PG_PORT"], "-U", self.env["PG_USER"], "-d", database, "-XqAt",
                              "-v", "ON_ERROR_STOP=1"], input=statement, text=True, capture_output=True, env=dict(self.env, PGPASSWORD=self.env["PG_PASSWORD"]))
        if out.returncode:
            raise Failed(out.stderr)
        return out.stdout.strip()

    def table(self, name="t", rows=10, flag="sent_to_kafka BOOLEAN DEFAULT FALSE", key="PRIMARY KEY"):
        self.sql(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id int {key}, note text{', ' + flag if flag else ''}); "
                 f"INSERT INTO {name} SELECT i, 'n' || i FROM generate_series(1, {rows}) i")

    def pgch(self, *arguments, env=None, cwd=None):
        out = subprocess.run([PGCH, *arguments], text=True, capture_output=True, env=dict(self.env, **(env or {})), cwd=cwd or self.dir, timeout=120)
        if SECRET in out.stdout + out.stderr:
            raise Failed(f"the secret is shown:\n{out.stdout}\n{out.stderr}")
        return out

    def expect(self, status, part, *arguments, env=None, cwd=None):
        out = self.pgch(*arguments, env=env, cwd=cwd)
        if out.returncode != status or part.lower() not in (out.stdout + out.stderr).lower():
            raise Failed(f"pgch {' '.join(arguments)}\nexpected {status} and \"{part}\", got {out.returncode}:\n{out.stdout}\n{out.stderr}")
        return out

    def fresh(self, name):
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        return ["--to", f"chdb://{path}/data", "--state", f"{path}/state"]
