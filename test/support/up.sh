#!/usr/bin/env bash
# up.sh DIR [postgres|kafka|registry|chdb|old]…: starts these servers (default: all) below DIR, in parallel, and writes DIR/env, to be
# sourced. down.sh DIR stops them; so does a failure here.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -ge 1 ] || die "usage: up.sh DIR [postgres|kafka|registry|chdb|old]…"
dir=$(absolute "$1")
shift
[ $# -gt 0 ] || set -- postgres kafka registry chdb old
chmod 755 "$dir" # the user postgres has to pass
trap '[ $? = 0 ] || "$support/down.sh" "$dir"' EXIT

for part in "$@"; do
  case $part in postgres | kafka | registry | chdb | old) ;; *) die "up.sh knows postgres, kafka, registry, chdb and old, not $part" ;; esac
done
jobs=()
for part in "$@"; do
  case $part in
    postgres) "$support/postgres.sh" start "$dir/postgres" & jobs+=($!) ;;
    kafka) "$support/kafka.sh" start "$dir/kafka" & jobs+=($!) ;;
    registry) "$support/registry.sh" start "$dir/registry" & jobs+=($!) ;;
    old) "$support/clickhouse_old.sh" start "$dir/old" & jobs+=($!) ;;
    chdb)
      mkdir -p "$dir/chdb"
      (library=$("$support/chdb.sh") && export_line PGCH_LIBCHDB "$library" >"$dir/chdb/env") & jobs+=($!)
      ;;
  esac
done
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
[ "$failed" = 0 ] || die "not everything started"
for part in "$@"; do cat "$dir/$part/env"; done >"$dir/env"
