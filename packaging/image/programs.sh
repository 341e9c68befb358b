#!/usr/bin/env bash
# programs.sh DEST: builds the programs (unless PREBUILT says they are there) and puts them into the tree DEST.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${PREBUILT:-}" ]; then
  tools/build.sh release homelab-llm homelab-llm-engine
fi
packaging/install_tree.sh "$1"
for backend in ${BACKENDS:-}; do
  tools/fetch_backend.sh "$backend" "$1/usr/lib/homelab-llm/lib/engine"
done
