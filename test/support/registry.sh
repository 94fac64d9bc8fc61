#!/usr/bin/env bash
# registry.sh fetch|start|stop|crash|continue DIR: an Apicurio registry (Confluent's interface) in DIR on a free loopback port, its
# schemas in a file. Writes DIR/env with PGCH_TEST_REGISTRY, and DIR/pid. With PGCH_TEST_REGISTRY set, that one is used.
# crash: SIGKILL; continue: up again with the same schemas and port. fetch needs no DIR.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=2.5.11.Final
home=$cache/apicurio-$version

fetch() {
  [ -e "$home/complete" ] && return
  once registry
  [ -e "$home/complete" ] && return
  if ! { have mvn && have java; }; then "$support/install.sh" kafka; fi
  say "Downloading Apicurio registry $version (140 MB)"
  rm -rf "$home"
  mkdir -p "$home/app"
  (cd "$home" && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" \
    -DoutputDirectory="$home" >"$home/log" 2>&1) || { tail -n 20 "$home/log" >&2; die "Maven could not fetch the registry"; }
  tar xzf "$home/apicurio-registry-app-$version-all.tar.gz" -C "$home/app"
  rm "$home/apicurio-registry-app-$version-all.tar.gz"
  touch "$home/complete"
  exec 9>&-
}

answers() { curl -sf "http://127.0.0.1:$1/apis/ccompat/v7/subjects"; }

launch() {
  java -Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$1" -Dquarkus.log.level=WARN \
    -DREGISTRY_DATASOURCE_URL="jdbc:h2:file:$dir/schemas" -Dquarkus.datasource.jdbc.initial-size=1 -Dquarkus.datasource.jdbc.min-size=1 \
    -Dquarkus.datasource.jdbc.max-size=10 -jar "$home/app/apicurio-registry-app-$version-runner.jar" >>"$dir/log" 2>&1 </dev/null 9>&- &
  record_pid $! "$dir/pid"
  await 120 "$dir/pid" answers "$1" || { tail -n 20 "$dir/log" >&2; stop; die "the registry did not start; its log is above"; }
}

start() {
  if [ -n "${PGCH_TEST_REGISTRY:-}" ]; then
    say "Using the schema registry at $PGCH_TEST_REGISTRY"
    export_line PGCH_TEST_REGISTRY "$PGCH_TEST_REGISTRY" >"$dir/env"
    return
  fi
  fetch
  stop # what an earlier run may have left here
  local port
  port=$(free_port)
  say "Starting the schema registry on 127.0.0.1:$port"
  echo "$port" >"$dir/port"
  launch "$port"
  {
    export_line PGCH_TEST_REGISTRY "http://127.0.0.1:$port/apis/ccompat/v7"
    export_line PGCH_TEST_REGISTRY_DIR "$dir"
  } >"$dir/env"
}

stop() {
  stop_recorded "$dir/pid" 20
  rm -f "$dir"/schemas* "$dir/env"
}

usage() { die "usage: registry.sh fetch, or registry.sh start|stop|crash|continue DIR"; }
if [ "$*" = fetch ]; then
  fetch
  exit
fi
[ $# = 2 ] || usage
dir=$(absolute "$2")
case $1 in start) start ;; stop) stop ;; crash) kill_recorded "$dir/pid" ;; continue) recorded_pid "$dir/pid" >/dev/null || launch "$(cat "$dir/port")" ;; *) usage ;; esac
