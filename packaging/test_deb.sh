#!/usr/bin/env bash
# test_deb.sh [ROOT]: installs, runs, upgrades, removes and purges the package in a throw-away layer over a Debian 12 root
# (ROOT; without it one is made with debootstrap from this machine's mirror). As root; there is no systemd in it, so the
# service is started as its unit says, by hand, and the unit is judged by systemd-analyze where that exists.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "error: chroot and overlay need root" >&2; exit 1; }
work=$(mktemp -d)
root=$work/merged
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  umount "$root/proc" 2>/dev/null || true
  umount "$root" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
step() { echo "ok   $*"; }

base=${1:-}
if [ -z "$base" ]; then
  base=$work/base
  mirror=$(awk '/^URIs:/{print $2; exit} /^deb /{print $2; exit}' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null)
  debootstrap --variant=minbase bookworm "$base" "$mirror" >"$work/debootstrap.log" || { tail -n 5 "$work/debootstrap.log"; exit 1; }
fi
export DEB_COMPRESSION=gzip # seconds instead of minutes on a busy machine
first=$(packaging/make_deb.sh)
cp "$first" "$work/first.deb"
second=$(DEB_REVISION=2 packaging/make_deb.sh)
mv "$second" "$work/second.deb"
mkdir "$work/upper" "$work/work" "$root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/work" "$root"
mount -t proc proc "$root/proc"
cp "$work"/*.deb "$root/"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log"; echo "FAIL $*"; exit 1; }; }
as_service() { inside runuser -u homelab-llm -- env HOME=/var/lib/homelab-llm XDG_RUNTIME_DIR=/tmp HOMELAB_LLM_PORT=18471 sh -c "cd /var/lib/homelab-llm && set -a && . /etc/homelab-llm/env && exec homelab-llm $*"; }
serve() {
  chroot "$root" runuser -u homelab-llm -- env HOME=/var/lib/homelab-llm XDG_RUNTIME_DIR=/tmp HOMELAB_LLM_PORT=18471 \
    sh -c 'cd /var/lib/homelab-llm && set -a && . /etc/homelab-llm/env && exec homelab-llm serve' >"$work/serve.log" 2>&1 &
  server=$!
  until grep -q 'listening on' "$work/serve.log"; do
    kill -0 "$server" 2>/dev/null || { cat "$work/serve.log"; exit 1; }
    sleep 0.1
  done
}
stop() { kill "$server"; wait "$server" || true; server=; }

inside apt-get update -q
inside apt-get install -y -q --no-install-recommends /first.deb
step "installs with its dependencies; user $(chroot "$root" id homelab-llm)"
serve
as_service ping
as_service register kept ORG/NAME
step "the service starts as its user and answers"
stop
echo '# mine' >>"$root/etc/homelab-llm/env"
inside apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold /second.deb
serve
as_service show kept
grep -q '# mine' "$root/etc/homelab-llm/env"
step "an upgrade keeps the registry and the changed settings"
stop
inside apt-get remove -y -q homelab-llm
[ ! -e "$root/usr/bin/homelab-llm" ] && [ -s "$root/var/lib/homelab-llm/models.db" ] && [ -f "$root/etc/homelab-llm/env" ]
step "removing keeps data and settings"
inside apt-get purge -y -q homelab-llm
[ -s "$root/var/lib/homelab-llm/models.db" ] && [ ! -e "$root/etc/homelab-llm/env" ]
step "purging takes the settings and keeps the data"
inside apt-get install -y -q --no-install-recommends /second.deb
as_service show kept
step "installed again it finds its models"
if command -v systemd-analyze >/dev/null; then
  sed 's|^ExecStart=.*|ExecStart=/bin/true|; /^User=/d; /^Group=/d' packaging/debian/homelab-llm.service >"$work/homelab-llm.service"
  systemd-analyze verify --man=no "$work/homelab-llm.service"
  step "systemd reads the unit without a remark"
else
  echo "note: there is no systemd-analyze here; the unit was not judged"
fi
