#!/usr/bin/env bash
# make_deb.sh: build/homelab-llm_VERSION_ARCH.deb out of the programs of `make build`, with dpkg-deb alone.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^project(homelab_llm VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)${DEB_REVISION:+-$DEB_REVISION}
machine=$(dpkg --print-architecture)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 0755 "$tree"
packaging/install_tree.sh "$tree"
install -D -m 0644 packaging/debian/homelab-llm.service "$tree/lib/systemd/system/homelab-llm.service"
install -D -m 0640 packaging/debian/env "$tree/etc/homelab-llm/env"
install -m 0644 README.md CHANGELOG.md "$tree/usr/share/doc/homelab-llm/"
install -d -m 0755 "$tree/DEBIAN"
install -m 0755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$tree/DEBIAN/"
echo /etc/homelab-llm/env >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: homelab-llm
Version: $version
Architecture: $machine
Maintainer: Homelab LLM Server
Section: net
Priority: optional
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Depends: adduser, ca-certificates, libc6 (>= 2.36), libcurl4, libssl3, libstdc++6 (>= 12)
Description: server for language models at home
 Keeps one Hugging Face cache, shared by a local run, Docker and Python
 scripts, with every model file on disk once; loads models, answers
 generation requests over HTTP and on the command line.
CONTROL
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
mkdir -p build
deb=build/homelab-llm_${version}_$machine.deb
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)} \
  dpkg-deb "-Z${DEB_COMPRESSION:-xz}" --root-owner-group --build "$tree" "$deb" >/dev/null
echo "$deb"
