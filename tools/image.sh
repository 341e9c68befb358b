#!/usr/bin/env bash
# image.sh [docker build options]: the image out of the programs that `make build` made here (seconds instead of a compiler
# inside Docker). Only for images of the same Debian release as this machine's; `docker build .` is the complete way.
set -euo pipefail
cd "$(dirname "$0")/.."
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp -r Dockerfile packaging tools CMakeLists.txt LICENSE "$context/"
mkdir -p "$context/build/bin" "$context/build/lib/engine"
for program in homelab-llm homelab-llm-engine; do strip -o "$context/build/bin/$program" "build/bin/$program"; done
cp build/lib/engine/*.so "$context/build/lib/engine/"
version=$(sed -n 's/^project(homelab_llm VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
docker build --build-arg PREBUILT=1 --build-arg VERSION="$version" \
  --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
  --build-arg CREATED="$(date -u -d "@$(git log -1 --format=%ct 2>/dev/null || date +%s)" +%Y-%m-%dT%H:%M:%SZ)" \
  "$@" "$context"
