#!/usr/bin/env bash
# install_tree.sh DEST: what an installation holds, as a tree: for the image and for the Debian package.
#   /usr/lib/homelab-llm/bin         the two programs, without debug information
#   /usr/lib/homelab-llm/lib/engine  llama.cpp's libraries, where the engine looks for them
#   /usr/bin/homelab-llm             the one for people
set -euo pipefail
cd "$(dirname "$0")/.."
dest=$1
home=$dest/usr/lib/homelab-llm
for program in homelab-llm homelab-llm-engine; do
  [ -x "build/bin/$program" ] || { echo "error: there is no build/bin/$program; run: make build" >&2; exit 1; }
done
install -d "$home/bin" "$home/lib/engine" "$dest/usr/bin" "$dest/usr/share/doc/homelab-llm"
for program in homelab-llm homelab-llm-engine; do
  strip -o "$home/bin/$program" "build/bin/$program"
  chmod 0755 "$home/bin/$program"
done
for library in build/lib/engine/*.so; do
  strip --strip-unneeded -o "$home/lib/engine/$(basename "$library")" "$library"
done
chmod 0644 "$home"/lib/engine/*.so
ln -sf ../lib/homelab-llm/bin/homelab-llm "$dest/usr/bin/homelab-llm"
install -m 0644 LICENSE "$dest/usr/share/doc/homelab-llm/copyright"
