#!/usr/bin/env bash
# chdb.sh: prints the path of libchdb.so, the embedded ClickHouse engine; downloads it once (170 MB, 560 MB unpacked).
# With PGCH_LIBCHDB set, that one is used.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=26.7.3-stable.1 # named: the registry's "latest" is older and lacks streaming inserts
sha256=c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad
dir=$cache/chdb

if [ -n "${PGCH_LIBCHDB:-}" ]; then
  [ -r "$PGCH_LIBCHDB" ] || die "PGCH_LIBCHDB names $PGCH_LIBCHDB, which can't be read"
  echo "$PGCH_LIBCHDB"
  exit
fi
once chdb
if [ "$(cat "$dir/version" 2>/dev/null)" != "$version" ]; then
  [ "$(uname -m)" = x86_64 ] || die "only the x86_64 build of chDB is fetched here; set PGCH_LIBCHDB to your own libchdb.so"
  have npm || "$support/install.sh" chdb
  mkdir -p "$dir"
  archive=$dir/chdb-lib-linux-x64-gnu-$version.tgz
  if [ ! -e "$archive" ]; then
    say "Downloading the embedded engine, chDB $version (170 MB)"
    part=$(mktemp -d "$dir/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    npm pack --silent --pack-destination "$part" "@chdb/lib-linux-x64-gnu@$version" >/dev/null || die "npm could not fetch chDB"
    mv "$part"/*.tgz "$archive"
  fi
  say "Unpacking chDB"
  if ! echo "$sha256  $archive" | sha256sum --check --quiet >&2; then
    rm -f "$archive"
    die "the downloaded chDB is not the expected file (checksum); it was removed, try again"
  fi
  tar -xzf "$archive" -C "$dir" --strip-components=1 package/libchdb.so
  chmod 755 "$dir/libchdb.so"
  echo "$version" >"$dir/version"
  rm -f "$archive"
fi
echo "$dir/libchdb.so"
