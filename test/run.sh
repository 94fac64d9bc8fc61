#!/usr/bin/env bash
# test/run.sh [--quick] [--filter REGEX]: installs what is missing, builds, starts PostgreSQL, Kafka, chDB and ClickHouse, runs
# every test, and stops what it started. Needs nothing but Debian 12 and root (or sudo) the first time.
#   --quick          without the tests that are labelled slow
#   --filter REGEX   only the tests whose names match (as in ctest -R)
# Your own servers instead: PGCH_TEST_PG (conninfo), PGCH_TEST_KAFKA (host:port), PGCH_TEST_REGISTRY (URL), PGCH_LIBCHDB, PGCH_TEST_CH_OLD (URL).
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/lib.sh"
cd "$root"

arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick)
      arguments+=(-LE slow)
      export PGCH_TEST_QUICK=1
      ;;
    --filter)
      [ $# -ge 2 ] || die "--filter needs a regular expression"
      arguments+=(-R "$2")
      shift
      ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done

mkdir -p build/dev
exec 8>build/dev/.run.lock
flock -n 8 || die "another test/run.sh is at work in this tree"
servers=
stop() {
  local status=$?
  trap - EXIT
  [ -z "$servers" ] || { say "Stopping the servers" && "$support/down.sh" "$servers"; }
  if [ "$status" = 0 ]; then
    rm -rf "$servers" build/dev/servers
    say "All tests passed."
  else
    say "FAILED (status $status)${servers:+; logs of the servers: $servers}"
  fi
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# A run that was killed could not stop its servers.
if left=$(cat build/dev/servers 2>/dev/null) && [[ -d $left && $left == */pgch-test.?????? ]]; then "$support/down.sh" "$left" 8>&-; fi

"$support/install.sh" all 8>&-
"$support/install.sh" avro 8>&-
"$support/registry.sh" fetch 8>&-
test/integration/postgres_versions.sh --fetch 8>&-
"$support/connect.sh" 8>&- >/dev/null
say "Building (build/dev)"
# The cmake that runs is quiet unless it fails.
cmake --preset dev >build/dev/configure.log 2>&1 || { cat build/dev/configure.log >&2; die "cmake failed"; }
NINJA_STATUS='[%f/%t] ' cmake --build --preset dev 8>&-

servers=$(mktemp -d "${TMPDIR:-/tmp}/pgch-test.XXXXXX")
echo "$servers" >build/dev/servers
"$support/up.sh" "$servers" 8>&-
set -a
# shellcheck disable=SC1091
. "$servers/env"
set +a

say "Testing"
# Three at a time: the tests of whole systems mostly wait.
ctest --preset dev -j 3 --no-tests=error ${arguments[@]+"${arguments[@]}"} 8>&- 2>&1 | tee build/dev/ctest.log
