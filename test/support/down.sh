#!/usr/bin/env bash
# down.sh DIR: stops what up.sh started below DIR, by the pids recorded there, also after a crash. Logs are left.
set -uo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# = 1 ] || die "usage: down.sh DIR"
[ -d "$1" ] || exit 0
dir=$(absolute "$1")
[ ! -d "$dir/old" ] || "$support/clickhouse_old.sh" stop "$dir/old" &
[ ! -d "$dir/registry" ] || "$support/registry.sh" stop "$dir/registry" &
[ ! -d "$dir/kafka" ] || "$support/kafka.sh" stop "$dir/kafka" &
[ ! -d "$dir/postgres" ] || "$support/postgres.sh" stop "$dir/postgres" &
wait
rm -f "$dir/env"
