#!/usr/bin/env bash
# tidy.sh [FILE...]: clang-tidy over our own sources, findings are errors. A file that was clean is looked at again only
# when it, a header of it, or .clang-tidy changed.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh dev all >/dev/null # embedded files and compile commands
clean=build/tidy
mkdir -p "$clean"

one() { # one SOURCE
  local key stamp
  # What the compiler would see, without line markers.
  key=$( (cat .clang-tidy && build/venv/bin/python tools/preprocess.py build/dev "$1") | sha256sum | cut -d' ' -f1)
  stamp=$clean/$key
  [ -e "$stamp" ] && return 0
  # Flags that only g++ knows are not clang's business, and neither is what it says of the system's own headers.
  if clang-tidy-19 --quiet -p build/dev --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-Wno-deprecated-declarations --extra-arg=-Wno-zero-length-array "$1" 2>"$stamp.log"; then
    rm -f "$stamp.log"
    touch "$stamp"
    echo "clean  $1"
  else
    cat "$stamp.log" >&2
    rm -f "$stamp.log"
    echo "FOUND  $1"
    return 1
  fi
}
export -f one
export clean

sources=("$@")
[ $# -gt 0 ] || mapfile -t sources < <(git ls-files 'src/*.cpp' 'engine/*.cpp')
printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P "${JOBS:-$(nproc)}" bash -c 'one "$1"' tidy
echo "clang-tidy: ${#sources[@]} files are clean"
