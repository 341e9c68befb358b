#!/usr/bin/env bash
# build.sh PRESET TARGET...: configures (once) and builds, showing progress; everything lands below build/.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
if [ ! -f "build/$preset/build.ninja" ]; then
  echo "==> configuring ($preset)"
  mkdir -p "build/$preset"
  if ! cmake --preset "$preset" >"build/$preset/configure.log" 2>&1; then
    tail -n 25 "build/$preset/configure.log" >&2
    echo "error: configuring failed; the whole log is build/$preset/configure.log" >&2
    exit 1
  fi
fi
echo "==> building ($preset)"
NINJA_STATUS='[%f/%t %es] ' exec cmake --build "build/$preset" --parallel "${JOBS:-$(nproc)}" --target "$@"
