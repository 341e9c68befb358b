#!/usr/bin/env bash
# Fetches the pinned llama.cpp v0.5.0 into DEST: its sources (DEST/src) and, on x86-64, the prebuilt libraries (DEST/lib).
#
#   tools/fetch_llama.sh [DEST]          default DEST: build/deps/llama.cpp-v0.5.0
#
# The packages and their hashes are in tools/llama.lock. Nothing is visible in DEST before everything is checked;
# a complete DEST makes this command return at once. Needs npm, git, tar, sha256sum, flock.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lock_file=$here/llama.lock
dest=${1:-$here/../build/deps/llama.cpp-v0.5.0}

say() { printf 'fetch_llama: %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# The parts of llama.cpp that the engine, its source build and its benchmark are made from.
parts=(CMakeLists.txt LICENSE AUTHORS licenses cmake common ggml include src vendor scripts/ui-assets.cmake
  tools/CMakeLists.txt tools/server tools/mtmd tools/ui/CMakeLists.txt tools/ui/ui.cpp.in tools/ui/ui.h.in
  tools/ui/sources.cmake tools/llama-bench)
unneeded=(tools/server/tests tools/server/bench tools/mtmd/tests tools/mtmd/legacy-models tools/mtmd/test-1.jpeg
  tools/mtmd/test-2.mp3 tools/mtmd/test-3.mp4)

machine=$(uname -m)
wanted() { [[ $1 == node-llama-cpp || ($1 == @node-llama-cpp/linux-x64 && $machine == x86_64) ]]; }

pins() { grep -v '^#' "$lock_file"; }
stamp_text() { echo "layout 1 $machine"; pins; }

complete() { [[ -f $dest/stamp ]] && [[ $(cat "$dest/stamp") == "$(stamp_text)" ]]; }

# What npm said, without its prefixes and log files: "ECONNREFUSED; network request to ... failed".
npm_reason() {
  sed -nE 's/^npm (error|ERR!) (code )?//p' "$work/npm.log" | head -n 2 | paste -sd ';' | cut -c1-200
}

fetch_package() { # name version sha256 -> prints the tarball's path
  local name=$1 version=$2 sha256=$3 file got
  say "fetching $name $version"
  if ! file=$(cd "$work" && npm pack --loglevel=error "$name@$version" 2>"$work/npm.log" | tail -n 1) || [[ -z $file ]]; then
    die "npm could not fetch $name@$version ($(npm_reason)). Check that its registry can be reached (npm ping) and try again"
  fi
  got=$(sha256sum "$work/$file" | cut -d' ' -f1)
  [[ $got == "$sha256" ]] || die "$name@$version has sha256 $got, expected $sha256 ($lock_file); nothing was installed"
  echo "$work/$file"
}

unpack_sources() { # tarball
  say "unpacking the sources"
  tar -xzf "$1" -C "$work" package/llama/gitRelease.bundle
  git clone --quiet --bare "$work/package/llama/gitRelease.bundle" "$work/sources.git" 2>"$work/git.log" ||
    die "git could not read the source bundle: $(tail -n 1 "$work/git.log")"
  mkdir -p "$work/new/src"
  git -C "$work/sources.git" archive HEAD "${parts[@]}" | tar -x -C "$work/new/src"
  (cd "$work/new/src" && rm -rf "${unneeded[@]}")
}

unpack_libraries() { # tarball
  say "unpacking the prebuilt libraries"
  mkdir -p "$work/new/lib"
  tar -xzf "$1" -C "$work/new/lib" --strip-components=3 --wildcards 'package/bins/linux-x64/*.so'
  tar -xzf "$1" -C "$work/new/lib" --strip-components=1 package/LICENSE
}

main() {
  if complete; then return 0; fi
  local tool
  for tool in npm git tar sha256sum flock; do
    command -v "$tool" >/dev/null || die "$tool is not installed; on Debian: apt-get install npm git tar coreutils util-linux"
  done
  mkdir -p "$(dirname "$dest")"
  dest=$(cd "$(dirname "$dest")" && pwd)/$(basename "$dest")
  exec 9>"$dest.lock"
  flock 9
  if complete; then return 0; fi

  rm -rf "$dest".partial.*  # left by a killed run; the lock says that none is alive
  work=$(mktemp -d "$dest.partial.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  local name version sha256 tarball
  while read -r name version sha256; do
    wanted "$name" || continue
    tarball=$(fetch_package "$name" "$version" "$sha256")
    case $name in
      node-llama-cpp) unpack_sources "$tarball" ;;
      *) unpack_libraries "$tarball" ;;
    esac
  done < <(pins)
  stamp_text >"$work/new/stamp"
  if [[ -e $dest ]]; then mv "$dest" "$work/old"; fi
  mv -T "$work/new" "$dest"
  say "llama.cpp is in $dest"
}

main
