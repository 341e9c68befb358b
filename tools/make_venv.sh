#!/usr/bin/env bash
# make_venv.sh FOLDER REQUIREMENTS [debian]: a Python environment with exactly the pinned, hash-checked packages;
# with "debian" it is one of Debian's Python, and sees Debian's Python packages behind the pinned ones.
set -euo pipefail
folder=$1
requirements=$2
make=(python3 -m venv)
[ "${3:-}" = debian ] && make=(/usr/bin/python3 -m venv --system-site-packages)
echo "==> Python environment for the tests ($folder)"
rm -rf "$folder"
"${make[@]}" "$folder" || { echo "error: python3 -m venv failed; install python3-venv" >&2; exit 1; }
if ! "$folder/bin/pip" --disable-pip-version-check install --quiet --no-deps --require-hashes -r "$requirements"; then
  echo "error: the pinned Python packages could not be installed; check that the Python package index can be reached" >&2
  exit 1
fi
touch "$folder/.complete"
