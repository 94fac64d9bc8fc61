#!/usr/bin/env bash
# examples/quickstart/run.sh [--kafka] [--rows N] [--keep]: a fresh Debian 12 sees rows go from a real PostgreSQL into a real
# ClickHouse engine (embedded, a directory), and the proof that both sides are equal. Installs and builds what is missing.
#   --kafka   with Apache Kafka between the two halves
#   --rows N  how many rows to begin with (100000)
#   --keep    leaves the servers running, and says how to reach and to stop them
# Your own PostgreSQL, in which the table user_logins is made: PGCH_TEST_PG="host=… port=… dbname=… user=…". Your own Kafka: PGCH_TEST_KAFKA.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/test/support/lib.sh"
cd "$root"
exec 2>&1 # one stream, so that everything stays in order in a pipe too

kafka='' rows=100000 keep=''
while [ $# -gt 0 ]; do
  case $1 in
    --kafka) kafka=kafka ;;
    --keep) keep=yes ;;
    --rows)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--rows needs a number"
      rows=$2
      shift
      ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done

work=$root/build/quickstart
mkdir -p "$work"
exec 8>"$work/.lock"
flock -n 8 || die "another quick start is at work in this tree"
servers=
stop() {
  local status=$?
  trap - EXIT
  if [ -n "$servers" ] && [ -z "$keep" ]; then
    say "Stopping the servers"
    "$support/down.sh" "$servers" 8>&-
    [ "$status" != 0 ] || rm -rf "$servers" "$work/servers"
  fi
  if [ "$status" = 0 ]; then what_next; else say "The quick start FAILED (status $status)${servers:+; logs of the servers: $servers}"; fi
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

what_next() {
  local short=${work#"$root"/} library=''
  # Elsewhere than where pgch looks by itself.
  [ "$PGCH_LIBCHDB" = "${XDG_CACHE_HOME:-$HOME/.cache}/pgch/chdb/libchdb.so" ] || library="; export PGCH_LIBCHDB=$PGCH_LIBCHDB"
  cat <<TEXT

==> Done: $rows rows and then 3 more went from PostgreSQL${kafka:+ through Kafka} into ClickHouse, once each, and both sides are equal.

The data is in $short/pgch-data; user_logins_current is a view of each key's newest row. Try:
  cd $work$library
  $root/build/dev/cli/pgch query 'SELECT event_type, count() FROM user_logins_current GROUP BY event_type'
  $root/build/dev/cli/pgch serve          # ClickHouse's HTTP interface on 127.0.0.1:8123, for any client
TEXT
  if [ -n "$keep" ]; then
    cat <<TEXT
The servers are still there. Insert into user_logins, and run again:
  . $servers/env; . $work/env
  psql "\$PGCH_TEST_PG"
  $root/build/dev/cli/pgch run --table user_logins
To stop them: $support/down.sh $servers
TEXT
  else
    cat <<TEXT
With Kafka between:              $root/examples/quickstart/run.sh --kafka
With your own PostgreSQL:        $root/build/dev/cli/pgch setup --from postgresql://user@host/database --table NAME --apply
                                 $root/build/dev/cli/pgch run --once --from postgresql://user@host/database --table NAME
The systems S0 to S4, complete:  examples/s0 … examples/s4
TEXT
  fi
}

# A run that was killed, or kept its servers.
if left=$(cat "$work/servers" 2>/dev/null) && [[ -d $left && $left == */pgch-quickstart.?????? ]]; then
  "$support/down.sh" "$left" 8>&-
  rm -rf "$left"
fi
rm -rf "$work/pgch-data" "$work/pgch-state" "$work/servers" "$work/env"

"$support/install.sh" build postgres chdb ${kafka:+kafka} 8>&-
say "Building (build/dev); about five minutes on two free cores the first time"
cmake --preset dev >build/dev.log 2>&1 || { cat build/dev.log >&2; die "cmake failed"; }
NINJA_STATUS='[%f/%t] ' cmake --build --preset dev --target pgch_command 8>&-

servers=$(mktemp -d "${TMPDIR:-/tmp}/pgch-quickstart.XXXXXX")
echo "$servers" >"$work/servers"
"$support/up.sh" "$servers" postgres chdb $kafka 8>&-
# shellcheck disable=SC1091
. "$servers/env"

# The names that pgch reads from its environment.
{
  export_line PG_URL "$PGCH_TEST_PG"
  if [ -n "$kafka" ]; then export_line KAFKA_BOOTSTRAP "$PGCH_TEST_KAFKA"; fi
} >"$work/env"
# shellcheck disable=SC1091
. "$work/env"
cd "$work"

# Shows what it runs, as one would type it.
bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
pgch() {
  local word line='$ pgch'
  for word in "$@"; do
    [[ $word == *"'"* ]] && word="\"$word\""
    [[ $word == *[!a-zA-Z0-9_.:/=\"\'-]* && $word != \"* ]] && word="'$word'"
    line+=" $word"
  done
  printf '\n%s%s%s\n' "$bold" "$line" "$plain"
  "$root/build/dev/cli/pgch" "$@" 8>&-
}
sql() { psql -X -q -v ON_ERROR_STOP=1 "$PGCH_TEST_PG" "$@"; }

say "Making $rows random logins in PostgreSQL"
pgch generate --to-postgres --table user_logins --rows "$rows"
say "Moving them into ClickHouse"
pgch run --once --table user_logins
say "What ClickHouse says"
pgch query 'SELECT event_type, count() AS logins, uniq(user_id) AS users, max(event_time) AS latest FROM user_logins_current GROUP BY event_type ORDER BY logins DESC' --format PrettyCompact
say "Are both sides equal?"
pgch verify --table user_logins

say "Three more rows; just those move"
sql -c "INSERT INTO user_logins (id, user_id, username, event_type, event_time, payload)
        SELECT max(id) + n, n, 'quickstart_' || n, 'login', now(), '{\"ip\": \"127.0.0.1\"}' FROM user_logins, generate_series(1, 3) n GROUP BY n"
pgch run --once --table user_logins
pgch query "SELECT id, username, event_type, event_time, payload FROM user_logins_current WHERE startsWith(username, 'quickstart') ORDER BY id" --format PrettyCompact
pgch verify --table user_logins
