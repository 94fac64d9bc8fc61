#!/usr/bin/env bash
# second_build.sh PRESET TARGET… [-- TEST…]: builds targets with another preset (build/PRESET), then runs the test programs named.
# Another compiler finds other warnings, a sanitizer other defects; both are tests of their own.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
preset=$1
shift
targets=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  targets+=("$1")
  shift
done
[ $# -gt 0 ] && shift
mkdir -p "build/$preset"
cmake --preset "$preset" >"build/$preset/configure.log" 2>&1 || { cat "build/$preset/configure.log"; die "cmake failed"; }
cmake --build --preset "$preset" --target "${targets[@]}"
for program in "$@"; do
  say "$preset: $program"
  "build/$preset/test/$program" --warn NoTests
done
