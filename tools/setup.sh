#!/bin/sh
# Makes a fresh Debian 12 machine ready: system packages, then the virtual environment in .venv.
# Says each step as it goes; a second run does nothing. Called by the Makefile.
# `setup.sh demo`: only what `make demo` needs; nothing of tests.
# `setup.sh vm`: only the packages of the small virtual machine (docs/testing.md).
# `setup.sh firewalld`: firewalld for tests, unpacked in build/, since installed it guards the machine.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

say() { printf 'setup: %s\n' "$1"; }
die() { printf 'setup: %s\n' "$1" >&2; exit 1; }

missing_demo_packages() {
    command -v nft >/dev/null || echo nftables
    command -v ip >/dev/null || echo iproute2
    command -v nsenter >/dev/null || echo util-linux
    command -v ping >/dev/null || echo iputils-ping
    ldconfig -p | grep -q 'libnftables\.so\.1' || echo libnftables1
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

missing_packages() {
    missing_demo_packages
    command -v iptables-nft-restore >/dev/null || echo iptables
    command -v ipset >/dev/null || echo ipset
    command -v etcd >/dev/null || echo etcd-server
    command -v bird >/dev/null || echo bird2
    [ -x /usr/lib/frr/bgpd ] || echo frr
    command -v wireguard-go >/dev/null || echo wireguard-go
    command -v wg >/dev/null || echo wireguard-tools
    command -v containerd >/dev/null || echo containerd
    command -v runc >/dev/null || echo runc
    command -v podman >/dev/null || echo podman
    [ -x /usr/lib/cni/portmap ] || echo containernetworking-plugins
    command -v busybox >/dev/null || echo busybox-static
}

missing_vm_packages() {
    [ -x /usr/lib/qemu/virtiofsd ] && command -v qemu-system-x86_64 >/dev/null \
        || echo qemu-system-x86
    command -v depmod >/dev/null || echo kmod
    command -v ipvsadm >/dev/null || echo ipvsadm
}

install_packages() {
    packages=$(PATH="$PATH:/usr/sbin:/sbin" "$1")
    [ -n "$packages" ] || return 0
    [ "$(id -u)" = 0 ] || die "not root: run as root, or install first: $(echo $packages)"
    command -v apt-get >/dev/null || die "no apt-get here: install first: $(echo $packages)"
    say "installing system packages: $(echo $packages)"
    update_lists
    without_services  # tests start an etcd and BIRDs of their own; Debian's would run for good
    # shellcheck disable=SC2086  # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages \
        >/dev/null
    case " $(echo $packages) " in *" etcd-server "*) disable_service etcd ;; esac
    case " $(echo $packages) " in *" bird2 "*) disable_service bird ;; esac
    case " $(echo $packages) " in *" frr "*) disable_service frr ;; esac
    case " $(echo $packages) " in *" containerd "*) disable_service containerd ;; esac
    case " $(echo $packages) " in *" podman "*) disable_service podman ;; esac
}

update_lists() {
    [ -n "${updated:-}" ] || apt-get update -qq
    updated=yes
}

# Packages that are installed from here on start nothing, unless this machine has rules of its own.
without_services() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
}

# Nor at the next start of the machine. Only its own unit: others may run an etcd that is needed.
disable_service() {
    systemctl disable --now "$1.service" >/dev/null 2>&1 || true
    update-rc.d "$1" disable >/dev/null 2>&1 || true
}

# The libraries that the program itself needs, at the same versions as everywhere.
make_demo_environment() {
    make_empty_environment
    pip install --quiet --constraint requirements.txt hatchling editables
    pip install --quiet --constraint requirements.txt --no-build-isolation --editable .
}

make_environment() {
    make_empty_environment
    pip install --quiet --retries 5 --requirement requirements.txt
    pip install --quiet --no-deps --no-build-isolation --editable .
}

make_empty_environment() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || die "$python is older than 3.11: install python3.11 or set PYTHON"
    say "making the virtual environment in .venv"
    pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv  # also after half a setup
}

pip() {
    .venv/bin/python -m pip --disable-pip-version-check "$@"
}

missing_firewalld_packages() {
    command -v dbus-daemon >/dev/null || echo dbus-daemon
    /usr/bin/python3 -c 'import dbus, gi' 2>/dev/null || echo python3-dbus python3-gi
}

unpack_firewalld() {
    [ ! -e build/firewalld/usr/sbin/firewalld ] || return 0
    say "unpacking firewalld in build/firewalld"
    place=$(mktemp -d)
    (cd "$place" && apt-get download -qq firewalld python3-firewall python3-nftables)
    mkdir -p build
    for package in "$place"/*.deb; do dpkg-deb --extract "$package" build/firewalld; done
    rm -r "$place"
}

[ "${1:-}" != firewalld ] || {
    install_packages missing_firewalld_packages
    unpack_firewalld
    exit 0
}
[ "${1:-}" != vm ] || { install_packages missing_vm_packages; exit 0; }
command -v "$python" >/dev/null || {
    [ "$(id -u)" = 0 ] || die "no $python: install python3 and python3-venv"
    say "installing python3"
    update_lists
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        python3 python3-venv >/dev/null
}
if [ "${1:-}" = demo ]; then
    install_packages missing_demo_packages
    make_demo_environment
else
    install_packages missing_packages
    make_environment
fi
say "done"
