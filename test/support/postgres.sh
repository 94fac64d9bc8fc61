#!/usr/bin/env bash
# postgres.sh start|stop|crash DIR: an own PostgreSQL cluster in DIR on a free loopback port, with wal_level=logical and the
# database test_db. Writes DIR/env: PGCH_TEST_PG (by socket, no password asked) and PGCH_TEST_PG_TCP (by TCP, with scram).
# With PGCH_TEST_PG set, that server is used and nothing is started.
# crash: SIGKILL, then up again with the same data and port. Settings of your own: PGCH_TEST_PG_OPTIONS="-c fsync=off".
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bin=${PGCH_POSTGRES_BIN:-/usr/lib/postgresql/15/bin}
password='pgch-test' # of a server that only listens on loopback and lives as long as a test run

launch() {
  run_as_postgres "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/data/server.log" -o "${PGCH_TEST_PG_OPTIONS:-}" start >>"$dir/log" 2>&1 ||
    { tail -n 20 "$dir/log" "$dir/data/server.log" >&2; stop; die "PostgreSQL did not start; its log is above"; }
  record_pid "$(head -n 1 "$dir/data/postmaster.pid")" "$dir/pid"
}

start() {
  if [ -n "${PGCH_TEST_PG:-}" ]; then
    say "Using PostgreSQL at ${PGCH_TEST_PG//password=*/…}"
    {
      export_line PGCH_TEST_PG "$PGCH_TEST_PG"
      export_line PGCH_TEST_PG_TCP "${PGCH_TEST_PG_TCP:-$PGCH_TEST_PG}"
    } >"$dir/env"
    return
  fi
  [ -x "$bin/initdb" ] || "$support/install.sh" postgres
  stop # what an earlier run may have left here
  mkdir -p "$dir"
  [ "$(id -u)" != 0 ] || chown postgres: "$dir"
  run_as_postgres test -w "$dir" ||
    die "the user postgres can't reach $dir; choose a directory below /tmp or /var/tmp"
  local port socket
  port=$(free_port)
  # A Unix socket's path may have 107 bytes, and DIR may be long.
  socket=$(run_as_postgres mktemp -d /tmp/pgch-pg.XXXXXX)
  echo "$socket" >"$dir/socket"
  say "Starting PostgreSQL on 127.0.0.1:$port"
  printf '%s\n' "$password" >"$dir/password"
  [ "$(id -u)" != 0 ] || chown postgres: "$dir/password"
  run_as_postgres "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 \
    --pwfile="$dir/password" >"$dir/log" 2>&1 || { tail -n 20 "$dir/log" >&2; die "initdb failed"; }
  rm -f "$dir/password"
  run_as_postgres tee -a "$dir/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$socket'
wal_level = logical
max_wal_senders = 16
max_replication_slots = 16
max_connections = 100
shared_buffers = 256MB
max_wal_size = 4GB
checkpoint_timeout = 15min
timezone = 'UTC'
CONF
  launch
  # Some builds have the server's programs only.
  local createdb=$bin/createdb
  [ -x "$createdb" ] || createdb=createdb
  run_as_postgres "$createdb" -h "$socket" -p "$port" -U postgres test_db
  {
    export_line PGCH_TEST_PG "host=$socket port=$port user=postgres dbname=test_db"
    export_line PGCH_TEST_PG_TCP "host=127.0.0.1 port=$port user=postgres password=$password dbname=test_db"
    export_line PGCH_TEST_PG_HOST 127.0.0.1
    export_line PGCH_TEST_PG_PORT "$port"
    export_line PGCH_TEST_PG_USER postgres
    export_line PGCH_TEST_PG_PASSWORD "$password"
    export_line PGCH_TEST_PG_DATA "$dir/data"
    export_line PGCH_TEST_PG_PIDFILE "$dir/pid"
  } >"$dir/env"
}

crash() {
  local postmaster children child
  postmaster=$(recorded_pid "$dir/pid") || die "PostgreSQL in $dir is not running"
  children=$(cat "/proc/$postmaster/task/$postmaster/children")
  kill_recorded "$dir/pid"
  # They hold the shared memory until they notice.
  for child in $children; do
    while [ -e "/proc/$child" ]; do sleep 0.05; done
  done
  launch
}

stop() {
  # A test may have killed and restarted the server: the cluster's own pid file knows the present postmaster.
  local pid socket
  pid=$(recorded_pid "$dir/pid") || pid=
  if [ -e "$dir/data/postmaster.pid" ] && ! run_as_postgres "$bin/pg_ctl" -D "$dir/data" -m fast -w -t 20 stop >/dev/null 2>&1; then
    run_as_postgres "$bin/pg_ctl" -D "$dir/data" -m immediate -w -t 20 stop >/dev/null 2>&1 || true
  fi
  [ -z "$pid" ] || stop_recorded "$dir/pid" 5
  if socket=$(cat "$dir/socket" 2>/dev/null) && [[ $socket == /tmp/pgch-pg.?????? ]]; then rm -rf "$socket"; fi
  rm -rf "$dir/data" "$dir/env" "$dir/pid" "$dir/socket"
}

[ $# = 2 ] || die "usage: postgres.sh start|stop|crash DIR"
dir=$(absolute "$2")
case $1 in start) start ;; stop) stop ;; crash) crash ;; *) die "usage: postgres.sh start|stop|crash DIR" ;; esac
