#!/usr/bin/env bash
# format.sh check|write: clang-format over all C++ of this tree.
set -euo pipefail
cd "$(dirname "$0")/.."
case "$1" in
  check) mode=(--dry-run --Werror) ;;
  write) mode=(-i) ;;
  *) echo "usage: tools/format.sh check|write" >&2; exit 2 ;;
esac
git ls-files -z --cached --others --exclude-standard '*.h' '*.cpp' | xargs -0 -r clang-format-19 "${mode[@]}"
