#!/usr/bin/env bash
# test/fuzz/run.sh [SECONDS [TARGET…]]: builds the fuzzer with clang, AddressSanitizer and UBSan, and lets it look at each decoder
# for SECONDS (default 2, as in CI; 3600 for a night). What it found is kept in build/fuzz/corpus and begins the next run;
# bytes that break something lie in build/fuzz/broken: PGCH_TEST_FUZZ=<target> build/fuzz/fuzz <file> repeats them.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lib.sh"
cd "$root"

seconds=${1:-2}
shift || true
[[ $seconds =~ ^[0-9]+$ ]] || die "usage: test/fuzz/run.sh [SECONDS [TARGET…]]"
out=${PGCH_TEST_FUZZ_DIR:-$root/build/fuzz}
mkdir -p "$out/objects" "$out/broken"

sources=(lib/base/hash.cpp lib/base/error.cpp lib/base/base64.cpp lib/model/*.cpp lib/codec/*.cpp lib/avro/*.cpp
  lib/pg/{copy_binary,numeric,values,values_text,values_nested,types,type_map}.cpp
  lib/clickhouse/{native_block,native_nested,plan,sql,types,version}.cpp test/fuzz/fuzz.cpp)
flags=(-std=c++20 -O1 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Ilib -Iinclude -I. -DFMT_HEADER_ONLY)
compiler=clang++-14
have "$compiler" || die "$compiler is missing: test/support/install.sh test"
have ccache && compiler="ccache $compiler"

say "Building the fuzzer"
objects=()
building=()
for source in "${sources[@]}"; do
  object=$out/objects/${source//\//_}.o
  objects+=("$object")
  $compiler "${flags[@]}" -c "$source" -o "$object" &
  building+=($!)
  # Two at a time.
  if [ ${#building[@]} -ge 2 ]; then
    wait "${building[0]}" || die "the fuzzer does not build"
    building=("${building[@]:1}")
  fi
done
for job in "${building[@]}"; do wait "$job" || die "the fuzzer does not build"; done
$compiler "${flags[@]}" "${objects[@]}" -lsimdjson -lavro -lxxhash -o "$out/fuzz"

if [ $# -gt 0 ]; then targets=("$@"); else mapfile -t targets < <(PGCH_TEST_FUZZ=list "$out/fuzz" -runs=1 2>/dev/null); fi
[ ${#targets[@]} -gt 0 ] || die "the fuzzer names no targets"
failed=()
one() {
  mkdir -p "$out/corpus/$1"
  PGCH_TEST_FUZZ=$1 "$out/fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1500 \
    -artifact_prefix="$out/broken/$1-" -print_final_stats=1 "$out/corpus/$1" >"$out/$1.log" 2>&1
}
say "Fuzzing ${#targets[@]} targets, $seconds s each"
for target in "${targets[@]}"; do
  if one "$target"; then
    printf '  %-16s %s runs\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target.log")"
  else
    failed+=("$target")
    printf '  %-16s BROKEN\n' "$target"
    tail -n 25 "$out/$target.log"
  fi
done
[ ${#failed[@]} -eq 0 ] || die "broken: ${failed[*]}"
say "Nothing broke."
