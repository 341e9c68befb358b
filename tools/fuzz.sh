#!/usr/bin/env bash
# fuzz.sh BUILD_FOLDER SECONDS: runs every fuzz target that long, with its corpus under fuzz/corpus when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
for target in "$1"/fuzz/*_fuzz; do
  name=$(basename "$target")
  corpus=$1/corpus/$name
  mkdir -p "$corpus"
  seeds=()
  [ -d "fuzz/corpus/$name" ] && seeds=("fuzz/corpus/$name")
  echo "==> $name"
  "$target" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$corpus/" "$corpus" "${seeds[@]}" 2>&1 | tail -n 3
done
