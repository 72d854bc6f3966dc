#!/bin/sh
# How long a fresh Debian 12 machine takes from a clone to a `make demo` that has passed.
# Debian's minbase with git and make is made by debootstrap (not counted), in a folder; there, in
# mount, PID and IPC namespaces of its own, this checkout is cloned and `make demo` is timed. As root.
#   tools/fresh.sh [FOLDER]      default: a temporary one, removed afterwards
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
say() { printf 'fresh: %s\n' "$1" >&2; }
[ "$(id -u)" = 0 ] || { say "run it as root"; exit 1; }
command -v debootstrap >/dev/null || { say "no debootstrap here: apt-get install debootstrap"; exit 1; }

folder=${1:-$(mktemp -d)}
[ -n "${1:-}" ] || trap 'rm -rf --one-file-system "$folder"' EXIT
root=$folder/root
if [ ! -e "$root/usr/bin/make" ]; then
    say "making a minimal Debian 12 (not counted)"
    # From where this machine's own packages come.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' \
        'Identifier: Packages' | head -n 1)
    [ -n "$mirror" ] || { say "apt knows no Debian 12 here"; exit 1; }
    debootstrap --variant=minbase --include=ca-certificates,git,make bookworm "$root" \
        "$mirror" >"$folder/debootstrap.log" 2>&1 \
        || { tail -n 3 "$folder/debootstrap.log" >&2; exit 1; }
fi
rm -rf "$root/checkout"
# Where names and certificates are found, as an administrator would have set them up.
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/hosts "$root/etc/hosts"
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/pip.conf"
[ ! -e /etc/apt/sources.list.d/debian.sources ] || rm -f "$root/etc/apt/sources.list"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/apt/sources.list.d/*.sources /etc/apt/apt.conf.d/*; do
    [ ! -f "$file" ] || cp "$file" "$root/etc/apt/$(basename "$(dirname "$file")")/"
done

cat >"$root/measure" <<'INSIDE'
set -eu
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
git clone -q /source /checkout
cd /checkout
began=$(date +%s)
make demo
echo "fresh: make demo took $(($(date +%s) - began)) s" >&2
INSIDE
unshare --mount --pid --ipc --uts --fork --kill-child sh -euc '
    mount --make-rprivate /
    mount --bind "$1" "$1"
    mkdir -p "$1/source" "$1/dev/net"
    mount --rbind /dev "$1/dev"
    mount --bind -o ro "$2" "$1/source"
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root GIT_CONFIG_COUNT=1 \
        GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="*" LANG=C.UTF-8 \
        chroot "$1" sh /measure
' sh "$root" "$here"
