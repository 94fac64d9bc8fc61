#!/usr/bin/env bash
# clang_tidy.sh [--full] [FILE…]: clang-tidy over lib, cli and examples (or just these files), by the commands of build/clang.
#   --full   with the static analyzer, which takes three times as long; a test runs the rest
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
checks=-clang-analyzer-*
if [ "${1-}" = --full ]; then
  checks=
  shift
fi
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(find lib cli examples -name '*.cpp' | sort); fi
mkdir -p build/clang
cmake --preset clang >build/clang/configure.log 2>&1 || { cat build/clang/configure.log; die "cmake failed"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Its count of what it leaves out in system headers is on stderr; a real failure is shown by the status.
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" clang-tidy-14 -p build/clang --quiet ${checks:+--checks="$checks"} 2>"$log" ||
  { grep -v 'warnings\? generated' "$log" || true; die "clang-tidy found something"; }
say "clang-tidy: ${#files[@]} files, nothing found"
