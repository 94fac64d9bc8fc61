#!/usr/bin/env bash
# test/bench/run.sh [--quick] [--rows N] [--only NAME] [--json FILE]: measures pgch beside baselines in one run, on servers that it
# starts itself. Rows/s, CPU seconds per million rows (pgch, PostgreSQL, Kafka, ClickHouse apart), peak RSS, and the ratio to each baseline.
#   --quick      few rows: shows that it runs, not how fast
#   --rows N     rows of user_logins (default 1 000 000)
#   --only NAME  one case (flag-produce, json-consume, json-consume-embedded, native-produce, native-consume, flag-direct, flag-http, poll-direct, poll-http,
#                snapshot-direct and snapshot-http, each also with -jsonb, -wide (40 columns) and -narrow (2 columns))
#   --json FILE  the figures as JSON, too
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lib.sh"
cd "$root"
case " $* " in *" --help "* | *" -h "*) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

"$support/install.sh" all
"$support/install.sh" baseline
build=${PGCH_BUILD:-build/dev}
own=${PGCH_BUILD:+yes}
unset PGCH_BUILD # the command takes PGCH_… for its settings
if [ -z "$own" ]; then
  mkdir -p "$build"
  cmake --preset dev >"$build/configure.log" 2>&1 || { cat "$build/configure.log" >&2; die "cmake failed"; }
  cmake --build --preset dev --target pgch_command raw_flag >&2
fi
servers=$(mktemp -d "${TMPDIR:-/tmp}/pgch-bench.XXXXXX")
trap '"$support/down.sh" "$servers"; rm -rf "$servers"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$support/up.sh" "$servers" postgres kafka chdb
set -a
# shellcheck disable=SC1091
. "$servers/env"
set +a
python3 test/bench/bench.py --build "$build" --work "$servers" --venv "$cache/baseline" "$@"
