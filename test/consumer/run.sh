#!/usr/bin/env bash
# run.sh BUILD: installs the build into a scratch prefix, then builds a program that links it: by find_package and by pkg-config.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lib.sh"
build=$(cd "$1" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/pgch-consumer.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

say "Installing into a scratch prefix"
cmake --install "$build" --prefix "$scratch/prefix" >"$scratch/install.log" || { cat "$scratch/install.log"; exit 1; }
say "find_package"
cmake -G Ninja -S "$root/examples/custom_loader" -B "$scratch/found" -DCMAKE_PREFIX_PATH="$scratch/prefix" >"$scratch/cmake.log" || { cat "$scratch/cmake.log"; exit 1; }
cmake --build "$scratch/found"
say "pkg-config"
pc=$(find "$scratch/prefix" -name pgch.pc)
# shellcheck disable=SC2046
c++ -std=c++20 "$root/examples/custom_loader/main.cpp" -o "$scratch/by_pkg_config" \
  $(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --cflags --libs pgch)
for program in "$scratch/found/example_custom_loader" "$scratch/by_pkg_config"; do
  status=0
  "$program" 2>"$scratch/usage" || status=$?
  [ "$status" = 2 ] && grep -q usage: "$scratch/usage" || die "$program did not run"
done
say "Both link and run"
