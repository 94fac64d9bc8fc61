"""What the cases of errors.py share: a database, the command, topics, `pgch serve`, a small disk."""
import ctypes
import errno
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PGCH = os.environ.get("PGCH", os.path.join(ROOT, "build", "dev", "cli", "pgch"))
SECRET = "hunter2-do-not-show"
SASL_SECRET = "hunter3-nor-this"
DATABASE = f"errors_{os.getpid()}"
BROKER = os.environ["PGCH_TEST_KAFKA"]
OLD = os.environ["PGCH_TEST_CH_OLD"]
CASES = []


def case(function):
    CASES.append((function.__name__.replace("_", " "), function))
    return function


class Failed(Exception):
    pass


def expect_equal(found, wanted, what):
    if found != wanted:
        raise Failed(f"{what}: {found!r}, not {wanted!r}")


def wait_until(true, what, process=None, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise Failed(f"waited in vain: {what}\n{process.said()[-4000:] if process else ''}")
        if process is not None and process.poll() is not None:
            raise Failed(f"{what}: the process ended with {process.returncode} before: {process.said()}")
        time.sleep(0.05)


class Command(subprocess.Popen):
    """A pgch that goes on; what it says is kept in a file."""

    def __init__(self, world, *arguments, env=None):
        self.path = os.path.join(world.dir, f"said.{time.monotonic_ns()}")
        with open(self.path, "wb") as log:
            super().__init__([PGCH, *arguments], env=dict(world.env, **(env or {})), cwd=world.dir, stdout=log, stderr=log)
        world.running.append(self)

    def said(self):
        with open(self.path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def end(self, status=0):
        if self.poll() is None:
            self.send_signal(signal.SIGTERM)
        try:
            self.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed("SIGTERM did not end it:\n" + self.said()) from None
        expect_no_secret(self.said())
        if self.returncode != status:
            raise Failed(f"SIGTERM ended with {self.returncode}, not {status}:\n{self.said()}")


def expect_no_secret(text):
    for secret in (SECRET, SASL_SECRET, os.environ["PGCH_TEST_PG_PASSWORD"]):
        if secret in text:
            raise Failed(f"a secret is shown:\n{text}")


class World:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="pgch-errors.")
        self.running = []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PG_", "CH_", "KAFKA_", "PGCH_"))}
        self.env.update({"PG_HOST": os.environ["PGCH_TEST_PG_HOST"], "PG_PORT": os.environ["PGCH_TEST_PG_PORT"], "PG_USER": os.environ["PGCH_TEST_PG_USER"],
                         "PG_PASSWORD": os.environ["PGCH_TEST_PG_PASSWORD"], "PG_DB": DATABASE, "PGCH_LIBCHDB": os.environ["PGCH_LIBCHDB"],
                         "PGCH_LIMITS_POLL": "50ms", "PGCH_LIMITS_BACKOFF_MAX": "500ms"})

    def end_case(self):
        """What a case that failed left behind must not spoil the next ones."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.running.clear()
        SmallDisk.close_all()

    def close(self):
        self.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", "postgres")
        shutil.rmtree(self.dir, ignore_errors=True)

    # PostgreSQL.
    def sql(self, statement, database=DATABASE):
        out = subprocess.run(["psql", "-h", self.env["PG_HOST"], "-p", self.env["PG_PORT"], "-U", self.env["PG_USER"], "-d", database, "-XqAt",
                              "-v", "ON_ERROR_STOP=1"], input=statement, text=True, capture_output=True, env=dict(self.env, PGPASSWORD=self.env["PG_PASSWORD"]))
        if out.returncode:
            raise Failed(out.stderr)
        return out.stdout.strip()

    def table(self, name="t", rows=10, flag="sent_to_kafka BOOLEAN DEFAULT FALSE", key="PRIMARY KEY"):
        self.sql(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id int {key}, note text{', ' + flag if flag else ''}); "
                 f"INSERT INTO {name} SELECT i, 'n' || i FROM generate_series(1, {rows}) i")

    def unsent(self, table="t"):
        return int(self.sql(f"SELECT count(*) FROM {table} WHERE sent_to_kafka IS NOT TRUE"))

    def expect_unsent(self, rows, table="t"):
        expect_equal(self.unsent(table), rows, "rows that are not marked as sent")

    # The command.
    def pgch(self, *arguments, env=None, cwd=None):
        out = subprocess.run([PGCH, *arguments], text=True, capture_output=True, env=dict(self.env, **(env or {})), cwd=cwd or self.dir, timeout=120)
        expect_no_secret(out.stdout + out.stderr)
        return out

    def expect(self, status, parts, *arguments, env=None, cwd=None):
        out = self.pgch(*arguments, env=env, cwd=cwd)
        for part in [parts] if isinstance(parts, str) else parts:
            if out.returncode != status or part.lower() not in (out.stdout + out.stderr).lower():
                raise Failed(f"pgch {' '.join(arguments)}\nexpected {status} and \"{part}\", got {out.returncode}:\n{out.stdout}\n{out.stderr}")
        return out

    def fresh(self, name):
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        return ["--to", f"chdb://{path}/data", "--state", f"{path}/state"]

    def query(self, to, sql):
        out = self.pgch("query", *to[:2], "--format", "TSV", sql)
        if out.returncode:
            raise Failed(f"{sql}: {out.stderr}")
        return out.stdout.strip()

    def expect_once(self, to, rows, table="t"):
        """Every row is at the target, raw, once."""
        expect_equal(self.query(to, f"SELECT count(), uniqExact(id) FROM {table}"), f"{rows}\t{rows}", "rows at the target, and their keys")

    def serve(self, data, *arguments, env=None):
        port = free_port()
        server = Command(self, "serve", "--to", "chdb://" + data, "--port", str(port), *arguments, env=env)
        wait_until(lambda: answers(port), "pgch serve answers", server)
        return server, f"http://127.0.0.1:{port}"

    # Kafka.
    def kafka(self, topic, group=None):
        """Flags for a topic, and a secret that must not be shown."""
        path = os.path.join(self.dir, topic + ".toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'[kafka.librdkafka]\n"sasl.username" = "me"\n"sasl.password" = "{SASL_SECRET}"\n')
        return ["-c", path, "--kafka", BROKER, "--topic", topic, "--group", group or topic]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
            s.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
            return b"200" in s.recv(64)
    except OSError:
        return False


def ask_kafka(api, version, body):
    """One request in Kafka's own protocol; returns the answer without its correlation id."""
    text = b"errors"
    request = struct.pack(">hhih", api, version, 1, len(text)) + text + body
    host, port = BROKER.split(",")[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as s:
        s.sendall(struct.pack(">i", len(request)) + request)
        answer = s.makefile("rb")
        return answer.read(struct.unpack(">i", answer.read(4))[0])[4:]


def kafka_text(s):
    return struct.pack(">h", len(s)) + s.encode()


def make_topic(topic, **settings):
    """One partition."""
    configs = b"".join(kafka_text(k.replace("_", ".")) + kafka_text(str(v)) for k, v in settings.items())
    reply = ask_kafka(19, 2, struct.pack(">i", 1) + kafka_text(topic) + struct.pack(">ihi", 1, 1, 0) + struct.pack(">i", len(settings)) + configs +
                      struct.pack(">ib", 10000, 0))
    at = 4 + 4 + 2 + len(topic.encode())
    expect_equal(struct.unpack(">h", reply[at:at + 2])[0], 0, f"Kafka's answer to making {topic}")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def send_nothing(topic, key, tombstone):
    """A message of no bytes, or of no value at all; kcat can't send the first."""
    record = b"\0\0\0" + (varint(-1) if key is None else varint(len(key)) + key.encode()) + varint(-1 if tombstone else 0) + varint(0)
    now = int(time.time() * 1000)
    rest = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + varint(len(record)) + record
    batch = struct.pack(">qiibI", 0, len(rest) + 9, -1, 2, crc32c(rest)) + rest
    reply = ask_kafka(0, 3, struct.pack(">hhii", -1, -1, 10000, 1) + kafka_text(topic) + struct.pack(">iii", 1, 0, len(batch)) + batch)
    at = 4 + 2 + len(topic.encode()) + 4 + 4
    expect_equal(struct.unpack(">h", reply[at:at + 2])[0], 0, "Kafka's answer to an empty message")


def send(topic, value, key=None):
    """One message; value None: a tombstone. kcat takes a file for a message as it is."""
    if not value:
        send_nothing(topic, key, value is None)
        return
    command = ["kcat", "-P", "-b", BROKER, "-t", topic, "-p", "0", "-X", "message.max.bytes=20000000", "-X", "topic.metadata.refresh.interval.ms=1000"]
    if key is not None:
        command += ["-k", key]
    with tempfile.NamedTemporaryFile() as file:
        file.write(value)
        file.flush()
        out = subprocess.run([*command, file.name], capture_output=True, timeout=60)
    if out.returncode:
        raise Failed(out.stderr.decode())


def send_lines(topic, lines):
    out = subprocess.run(["kcat", "-P", "-b", BROKER, "-t", topic, "-p", "0"], input="\n".join(lines), text=True, capture_output=True, timeout=60)
    if out.returncode:
        raise Failed(out.stderr)


def read_topic(topic):
    """All messages, as (key, value, headers); None for what is null."""
    out = subprocess.run(["kcat", "-q", "-C", "-b", BROKER, "-t", topic, "-o", "beginning", "-e", "-X", "fetch.message.max.bytes=20000000",
                          "-X", "topic.metadata.refresh.interval.ms=1000", "-f", "%K %S %h\n%k%s\n"], capture_output=True, timeout=60)
    if out.returncode:
        raise Failed(out.stderr.decode())
    messages, rest = [], out.stdout
    while rest:
        head, rest = rest.split(b"\n", 1)
        key_size, size, *headers = head.split(b" ", 2)
        k, v = max(0, int(key_size)), max(0, int(size))
        messages.append((rest[:k] if int(key_size) >= 0 else None, rest[k:k + v] if int(size) >= 0 else None, b" ".join(headers).decode()))
        rest = rest[k + v + 1:]
    return messages


class SmallDisk:
    """A file system of this size below `path`, of this process and its children alone."""
    mounted_apart = False
    mounted = []

    def __init__(self, path, size):
        self.path = path
        os.makedirs(path, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        if not SmallDisk.mounted_apart:
            become_mounter(libc)
            SmallDisk.mounted_apart = True
        if libc.mount(b"tmpfs", path.encode(), b"tmpfs", 0, f"size={size}".encode()):
            raise Failed("a tmpfs can't be mounted here: " + os.strerror(ctypes.get_errno()))
        SmallDisk.mounted.append(path)

    def fill(self, leave=0):
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as filler:
            free = os.statvfs(self.path)
            left = max(0, free.f_bavail * free.f_frsize - leave)
            while left:
                try:
                    left -= filler.write(b"x" * min(left, 1 << 20))
                except OSError:
                    return

    def free(self):
        os.unlink(os.path.join(self.path, "filler"))

    def enlarge(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)

    @staticmethod
    def close_all():
        while SmallDisk.mounted:
            subprocess.run(["umount", "-l", SmallDisk.mounted.pop()], check=False)


def become_mounter(libc):
    """Mounts from here on are seen by this process and its children alone. Whoever is not root becomes it in a namespace of users."""
    new_user, new_mounts, private = 0x10000000, 0x00020000, 0x4000 | 0x40000
    user, group = os.getuid(), os.getgid()
    if libc.unshare(new_mounts if user == 0 else new_user | new_mounts):
        raise Failed("no name space for mounts here: " + os.strerror(ctypes.get_errno()))
    if user:
        for file, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open("/proc/self/" + file, "w", encoding="ascii") as f:
                f.write(text)
    # Not possible where / is no mount of its own (chroot): then the mounts are seen outside until close_all() takes them away.
    if libc.mount(b"none", b"/", None, private, None) and ctypes.get_errno() != errno.EINVAL:
        raise Failed("mounts can't be made private: " + os.strerror(ctypes.get_errno()))


def count(text, pattern):
    return len(re.findall(pattern, text))
