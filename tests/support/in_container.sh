#!/usr/bin/env bash
# in_container.sh FOLDER [SOURCE:POINT]... -- COMMAND...: runs the command as in a container whose image is this machine.
# The root is an overlay whose changes are dropped at the end, FOLDER of the host is not in it, and each SOURCE of the
# host is mounted at POINT: what a container engine does, without one. FOLDER must exist; it is used for nothing else.
set -euo pipefail
if [ "${IN_CONTAINER_STAGE:-outside}" = outside ]; then
  flags=-m
  [ "$(id -u)" -eq 0 ] || flags=-rm
  IN_CONTAINER_STAGE=inside exec unshare $flags --propagation private "$0" "$@"
fi
unset IN_CONTAINER_STAGE
folder=$1
shift
layer=$(mktemp -d)
mount -t tmpfs tmpfs "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
# FOLDER is covered by a whiteout before anything is mounted: it may change meanwhile, so it cannot be deleted.
parent=
while IFS= read -r -d / name; do
  [ -n "$name" ] || continue
  parent=$parent/$name
  mkdir "$layer/upper$parent"
  chmod --reference="$parent" "$layer/upper$parent"
  chown --reference="$parent" "$layer/upper$parent"
done <<<"$folder"
mknod "$layer/upper$folder" c 0 0
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
cd "$layer/root"
while [ "$1" != -- ]; do
  mkdir -p ".${1##*:}"
  mount --bind "${1%%:*}" ".${1##*:}"
  shift
done
shift
[ "$(id -u)" -ne 0 ] || [ ! -d root ] || chmod 0711 root # as in our image
mkdir -p proc dev .old
mount --rbind /proc proc
mount --rbind /dev dev
pivot_root . .old
umount -l /.old
rmdir /.old
cd /
exec "$@"
