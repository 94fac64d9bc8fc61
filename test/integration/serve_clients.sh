#!/usr/bin/env bash
# serve_clients.sh python|jdbc: `pgch serve` (the program in $PGCH), and ClickHouse's own clients against it, without and
# with a password. Fetches the clients into the cache the first time.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lib.sh"
here=$root/test/integration

case ${1:-} in
  python)
    "$support/install.sh" baseline
    client() { "$cache/baseline/bin/python" "$here/serve_clients.py" "$@"; }
    ;;
  jdbc)
    libs=$cache/jdbc-0.11.0
    if [ ! -e "$libs/complete" ]; then
      once jdbc
      rm -rf "$libs"
      mkdir -p "$libs"
      # zstd-jni: 0.11.0 asks for a variant that Maven Central does not have; the driver needs it for Avro only.
      cat >"$libs/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>pgch</groupId><artifactId>jdbc</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>com.clickhouse</groupId><artifactId>clickhouse-jdbc</artifactId><version>0.11.0</version>
      <exclusions><exclusion><groupId>com.github.luben</groupId><artifactId>zstd-jni</artifactId></exclusion></exclusions>
    </dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
  </dependencies>
</project>
XML
      (cd "$libs" && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory="$libs" >"$libs/log" 2>&1) ||
        { tail -n 20 "$libs/log" >&2; die "Maven could not fetch the JDBC driver"; }
      touch "$libs/complete"
      exec 9>&-
    fi
    client() { java -cp "$libs/*" "$here/ServeClients.java" "$@"; }
    ;;
  *) die "serve_clients.sh python|jdbc" ;;
esac

data=$(mktemp -d "${TMPDIR:-/tmp}/pgch-serve.XXXXXX")
server=
stop() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
    server=
  fi
}
trap 'stop; rm -rf "$data"' EXIT

serve() {
  port=$(free_port)
  "$PGCH" serve --to "chdb://$data/d" --port "$port" "$@" >"$data/log" 2>&1 &
  server=$!
  local try
  for try in {1..300}; do
    if port_answers "$port"; then return; fi
    kill -0 "$server" 2>/dev/null || { cat "$data/log" >&2; die "pgch serve ended by itself"; }
    sleep 0.1
  done
  die "pgch serve did not answer within $((try / 10)) s"
}

serve
client "$port"
stop
PGCH_SERVE_PASSWORD_reader='p@ss:wörd' serve --user reader
client "$port" reader 'p@ss:wörd'
stop
