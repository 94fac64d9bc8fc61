#!/usr/bin/env bash
# install.sh [build|test|postgres|kafka|chdb|old|servers|all|avro|baseline]…: installs what is missing and nothing else; quick
# when nothing is.
#   build     compiler and libraries        test      what only the tests need when they run
#   postgres  PostgreSQL 15                 kafka     Java and Maven, kcat
#   chdb      npm, to fetch the engine      old       ClickHouse 18.16
#   servers   these four                    all       all of the above (the default)
#   avro      Python with the clients that the test of the format avro reads by, in a venv of the cache
#   baseline  Python with the clients that the benchmarks compare with, in a venv of the cache
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# libssl-dev: pkg-config asks for it on behalf of libpq.
build=(g++ cmake ninja-build pkg-config libpq-dev librdkafka-dev libavro-dev libsimdjson-dev libfmt-dev libcurl4-openssl-dev libssl-dev
  liblz4-dev libzstd-dev zlib1g-dev libxxhash-dev libtomlplusplus-dev libcli11-dev
  catch2 python3)
test=(curl clang-14 clang-format clang-tidy-14 libclang-rt-14-dev postgresql-15-postgis-3 jq)

missing=()
need() {
  local package state
  for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || true
    [ "$state" = installed ] || missing+=("$package")
  done
}
# A tool that may have come from elsewhere: need_tool COMMAND PACKAGE.
need_tool() { have "$1" || need "$2"; }

need_java() {
  local major
  major=$(java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p;T;q') || true
  [ "${major:-0}" -ge 17 ] || need openjdk-17-jre-headless
}

# Packages of servers start them; ours are started by the scripts, on ports of their own.
policy=/usr/sbin/policy-rc.d
forbid_autostart() {
  [ -e "$policy" ] && return
  trap 'as_root rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

apt_install() {
  [ ${#missing[@]} -gt 0 ] || return 0
  have apt-get || die "this is not a Debian system; install by hand: ${missing[*]}"
  say "Installing with apt: ${missing[*]}"
  once apt # another run may be installing the same
  forbid_autostart
  local log
  log=$(mktemp)
  as_root apt-get update -q >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt-get update failed"; }
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "apt-get install failed"
  fi
  rm -f "$log"
  missing=()
}

# venv NAME PACKAGE…: Python packages of a test, in the cache.
venv() {
  local name=$1 venv=$cache/$1
  shift
  [ -e "$venv/complete" ] && return
  need python3 python3-venv
  apt_install
  once "$name"
  say "Installing Python packages into $venv: $*"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q "$@" >&2
  touch "$venv/complete"
}

[ $# -gt 0 ] || set -- all
for set in "$@"; do
  case $set in build | all) need "${build[@]}" ;; esac
  # The JDBC check of `pgch serve` is one Java source file, run as it is.
  case $set in test | all) need "${test[@]}" && need_tool javac openjdk-17-jdk-headless && need_tool mvn maven ;; esac
  case $set in test | all) need_tool systemd-analyze systemd ;; esac
  case $set in postgres | servers | all) need postgresql-15 ;; esac
  case $set in kafka | servers | all) need kcat && need_java && need_tool mvn maven ;; esac
  case $set in chdb | servers | all) need_tool npm npm ;; esac
  case $set in old | servers | all) need clickhouse-server ;; esac
  case $set in
    build | test | postgres | kafka | chdb | old | servers | all | avro | baseline) ;;
    *) die "unknown set $set; there are build, test, postgres, kafka, chdb, old, servers, all, avro and baseline" ;;
  esac
done
apt_install
for set in "$@"; do
  case $set in
    avro) venv avro fastavro==1.13.1 confluent-kafka==2.16.1 ;;
    baseline) venv baseline psycopg2-binary confluent-kafka clickhouse-connect ;;
  esac
done
