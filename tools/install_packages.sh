#!/usr/bin/env bash
# install_packages.sh STAGE...: installs what packaging/debian-packages.txt lists for the stages and is missing.
# Says one clear line when it cannot.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
stages=" $* "
missing=()
while read -r package stage command _; do
  case "$package" in ''|'#'*) continue ;; esac
  case "$stages" in *" $stage "*) ;; *) continue ;; esac
  if [ -n "${command:-}" ] && command -v "$command" >/dev/null 2>&1; then continue; fi
  if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ]; then continue; fi
  missing+=("$package")
done < "$here/packaging/debian-packages.txt"
[ "${#missing[@]}" -eq 0 ] && exit 0

echo "==> installing ${#missing[@]} Debian packages: ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "error: this is not a Debian system (no apt-get); install the equivalents of: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "error: packages are missing and there is neither root nor sudo; as root run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >"$log" 2>&1
}
if ! apt update; then
  tail -n 5 "$log" >&2
  echo "error: the Debian package lists cannot be fetched; check the network and /etc/apt/sources.list" >&2
  exit 1
fi
if ! apt install --no-install-recommends "${missing[@]}"; then
  tail -n 15 "$log" >&2
  echo "error: apt-get could not install the packages above; mend what it says and run the same command again" >&2
  exit 1
fi
