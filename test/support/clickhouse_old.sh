#!/usr/bin/env bash
# clickhouse_old.sh start|stop|crash DIR: Debian's ClickHouse server (18.16, of 2018) in DIR on free loopback ports. Writes
# DIR/env with PGCH_TEST_CH_OLD. With PGCH_TEST_CH_OLD set, that server is used and nothing is started.
# crash: SIGKILL, then up again with the same data and ports.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

server=/usr/sbin/clickhouse-server

http_ok() {
  local answer
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET /ping HTTP/1.0\r\n\r\n' >&3
  answer=$(cat <&3)
  exec 3>&-
  [[ $answer == *Ok.* ]]
}

launch() {
  (cd "$dir" && exec "$server" --config-file="$dir/config.xml") >"$dir/out" 2>&1 </dev/null &
  record_pid $! "$dir/pid"
  await 60 "$dir/pid" http_ok "$1" || { tail -n 20 "$dir/out" "$dir/log.err" >&2; stop; die "ClickHouse did not start; its log is above"; }
}

start() {
  if [ -n "${PGCH_TEST_CH_OLD:-}" ]; then
    say "Using the ClickHouse server at ${PGCH_TEST_CH_OLD##*@}"
    export_line PGCH_TEST_CH_OLD "$PGCH_TEST_CH_OLD" >"$dir/env"
    return
  fi
  [ -x "$server" ] || "$support/install.sh" old
  stop # what an earlier run may have left here
  mkdir -p "$dir/data/tmp" "$dir/data/format_schemas"
  local http tcp
  http=$(free_port)
  tcp=$(free_port)
  while [ "$tcp" = "$http" ]; do tcp=$(free_port); done
  # Debian's start script names this root element; others are refused by 18.16.
  cat >"$dir/config.xml" <<XML
<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><log>$dir/log</log><errorlog>$dir/log.err</errorlog><size>100M</size><count>1</count></logger>
  <http_port>$http</http_port>
  <tcp_port>$tcp</tcp_port>
  <listen_host>127.0.0.1</listen_host>
  <path>$dir/data/</path>
  <tmp_path>$dir/data/tmp/</tmp_path>
  <format_schema_path>$dir/data/format_schemas/</format_schema_path>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <timezone>UTC</timezone>
  <mark_cache_size>536870912</mark_cache_size>
  <max_concurrent_queries>100</max_concurrent_queries>
  <query_log><database>system</database><table>query_log</table><flush_interval_milliseconds>1000</flush_interval_milliseconds></query_log>
</yandex>
XML
  cat >"$dir/users.xml" <<'XML'
<?xml version="1.0"?>
<yandex>
  <profiles><default><max_memory_usage>4000000000</max_memory_usage></default></profiles>
  <users>
    <default><password></password><networks><ip>127.0.0.1</ip><ip>::1</ip></networks><profile>default</profile><quota>default</quota></default>
    <pgch><password>pgch-test</password><networks><ip>127.0.0.1</ip><ip>::1</ip></networks><profile>default</profile><quota>default</quota></pgch>
  </users>
  <quotas><default><interval><duration>3600</duration><queries>0</queries><errors>0</errors><result_rows>0</result_rows><read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas>
</yandex>
XML
  say "Starting ClickHouse 18.16 on 127.0.0.1:$http"
  launch "$http"
  {
    export_line PGCH_TEST_CH_OLD "http://127.0.0.1:$http"
    export_line PGCH_TEST_CH_OLD_PIDFILE "$dir/pid"
  } >"$dir/env"
}

crash() {
  kill_recorded "$dir/pid"
  launch "$(sed -n 's|.*<http_port>\(.*\)</http_port>.*|\1|p' "$dir/config.xml")"
}

stop() {
  stop_recorded "$dir/pid" 20
  rm -rf "$dir/data" "$dir/env"
}

[ $# = 2 ] || die "usage: clickhouse_old.sh start|stop|crash DIR"
dir=$(absolute "$2")
case $1 in start) start ;; stop) stop ;; crash) crash ;; *) die "usage: clickhouse_old.sh start|stop|crash DIR" ;; esac
