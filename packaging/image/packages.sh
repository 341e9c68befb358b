#!/usr/bin/env bash
# packages.sh build|runtime: the Debian packages of one stage of the Dockerfile. Leaves no lists and caches behind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "$1" = build ]; then
  if [ -n "${PREBUILT:-}" ]; then # only what packs and lists
    apt-get update -q
    apt-get install -y -q --no-install-recommends python3 binutils
  else
    "$here/../../tools/install_packages.sh" run
  fi
  exit 0
fi
wanted=()
while read -r package backend; do
  case "$package" in '' | '#'*) continue ;; esac
  case " - ${BACKENDS:-} " in *" $backend "*) wanted+=("$package") ;; esac
done <"$here/runtime-packages.txt"
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${wanted[@]}"
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
  /var/cache/ldconfig/aux-cache /usr/share/doc/* /usr/share/man/* /usr/share/info/* /usr/share/locale/* /tmp/packaging
# A cache mounted at /root/.cache is for every user (the folder itself stays unreadable).
chmod 0711 /root
# Places to mount at: a new named volume takes over owner and mode of the folder it covers.
install -d -o 1000 -g 1000 /data /cache
