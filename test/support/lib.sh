# shellcheck shell=bash disable=SC2034  # names set here are for those who source it
# Sourced by the scripts beside it, by test/run.sh, the quick start and the benchmarks. Nothing here prints to standard
# output: that belongs to the caller's result (a path, an address).

support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$support/../.." && pwd)
cache=${PGCH_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pgch}

say() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    die "this needs root, and there is no sudo: $*"
  fi
}

# initdb refuses root; everybody else runs their own server.
run_as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && exec runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

# A free loopback port below the ephemeral range, so that nobody's outgoing connection can take it meanwhile.
free_port() {
  local port try
  for try in {1..200}; do
    port=$((15000 + (RANDOM * 32768 + RANDOM + try) % 15000))
    if ! port_answers "$port"; then
      echo "$port"
      return
    fi
  done
  die "no free port between 15000 and 30000"
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Field 22 of /proc/PID/stat: with it a recorded pid can't be mistaken for a later process of the same number.
started_at() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086  # split on purpose
  set -- $stat
  [ "$1" != Z ] && echo "${20}"
}

record_pid() { echo "$1 $(started_at "$1" || echo gone)" >"$2"; }

# The recorded pid, if that very process is still there.
recorded_pid() {
  local pid when
  [ -e "$1" ] && read -r pid when <"$1" || return 1
  [ "$(started_at "$pid")" = "$when" ] && echo "$pid"
}

# stop_recorded FILE [SECONDS]: TERM, then KILL when the time is up; only ever the process that was recorded.
stop_recorded() {
  local file=$1 deadline=$((SECONDS + ${2:-20})) pid
  if pid=$(recorded_pid "$file"); then
    kill -TERM "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
    while recorded_pid "$file" >/dev/null; do
      if [ "$SECONDS" -ge "$deadline" ]; then
        kill -KILL "$pid" 2>/dev/null || true
        deadline=$((SECONDS + 10))
      fi
      sleep 0.1
    done
  fi
  rm -f "$file"
}

# SIGKILL, and wait until it is gone.
kill_recorded() {
  local pid
  pid=$(recorded_pid "$1") || return 0
  kill -KILL "$pid" 2>/dev/null || true
  while recorded_pid "$1" >/dev/null; do sleep 0.05; done
}

# await SECONDS PIDFILE COMMAND…: until the command succeeds; fails at once when the process has ended.
await() {
  local deadline=$((SECONDS + $1)) pidfile=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    recorded_pid "$pidfile" >/dev/null || return 1
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# once LOCKNAME: the rest of the caller's shell holds this lock of the cache, so two runs don't download the same thing.
once() {
  mkdir -p "$cache"
  exec 9>"$cache/.$1.lock"
  flock 9
}

absolute() {
  mkdir -p "$1"
  (cd "$1" && pwd)
}

export_line() { printf 'export %s=%q\n' "$1" "$2"; }
