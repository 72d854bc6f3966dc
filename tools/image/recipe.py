"""What is in the image."""

import platform
from typing import NamedTuple

from tortie import __version__
from tortie.install.manifests.choices import IMAGE

NAME = IMAGE
VERSION = __version__
SUITE = "bookworm"
PACKAGES = (
    # Python, and what its extension modules of others need.
    *("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "ca-certificates"),
    # Row N8: what the node's programs call, or people who look.
    *("iptables", "ipset", "iproute2", "iputils-ping", "conntrack", "nftables", "libnftables1"),
    *("bird2", "wireguard-go", "wireguard-tools", "kmod", "procps"),
    # A shell with its few commands.
    *("dash", "coreutils", "mount", "util-linux", "grep", "sed"),
    # The reference plugins, which are chained behind ours and copied to nodes.
    "containernetworking-plugins",
)
UNUSED = frozenset(
    {
        # What only scripts of packages need, that run when one is installed on a machine.
        *("adduser", "debconf", "dpkg", "install-info", "passwd", "perl", "perl-base", "tar"),
        *("debianutils", "init-system-helpers", "libsemanage-common", "libsemanage2", "libsepol2"),
        *("libdebconfclient0", "libperl5.36", "perl-modules-5.36", "openssl", "sensible-utils"),
        *("libgdbm6", "libgdbm-compat4", "netbase", "libdb5.3"),
    }
)
"""Packages that others ask for and that nothing in the image runs."""
LEFT_OUT = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian"),
    *("usr/share/bash-completion", "usr/share/zsh", "usr/share/bug", "usr/share/doc-base"),
    *("usr/share/pixmaps", "usr/share/menu", "usr/share/perl5", "etc/init.d", "etc/systemd"),
    *("lib/systemd", "usr/lib/systemd", "etc/bird", "var/cache", "usr/share/gcc", "usr/lib/udev"),
    *("lib/udev", "usr/share/zoneinfo", "etc/cron.daily", "etc/pam.d", "usr/share/nftables"),
)
PLUGINS = frozenset({"bandwidth", "host-local", "loopback", "portmap", "tuning"})
"""Of the reference plugins, those that people chain; each is four megabytes."""
ALTERNATIVES = {
    f"usr/sbin/{name}{part}": "xtables-nft-multi"
    for name in ("iptables", "ip6tables")
    for part in ("", "-save", "-restore")
}
"""Names that a package's script would give; which iptables is used the agent finds out itself."""
# None for BIRD: it has three capabilities where the manifests run it, and could not become another.
ACCOUNTS = (
    ("root", 0, "/root"),
    ("daemon", 1, "/usr/sbin"),
    ("tortie", 10001, "/nonexistent"),  # the fan-out's servers and the controllers
    ("nobody", 65534, "/nonexistent"),
)
PLACES = ("usr/local/lib/python3.11/dist-packages", "usr/local/bin")
INTERPRETER = "/usr/bin/python3.11"
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Processor(NamedTuple):
    """A processor by its names: Debian's, OCI's (with variant), and that of wheels."""

    debian: str
    oci: str
    wheels: tuple[str, ...]
    variant: str = ""


PROCESSORS = {
    each.debian: each
    for each in (
        Processor("amd64", "amd64", ("manylinux2014_x86_64", "manylinux_2_28_x86_64")),
        Processor("arm64", "arm64", ("manylinux2014_aarch64", "manylinux_2_28_aarch64"), "v8"),
        Processor("ppc64el", "ppc64le", ("manylinux2014_ppc64le", "manylinux_2_28_ppc64le")),
        Processor("s390x", "s390x", ("manylinux2014_s390x", "manylinux_2_28_s390x")),
    )
}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el", "s390x": "s390x"}


def this_processor() -> str:
    """Debian's name of the processor at hand."""
    return _MACHINES.get(platform.machine(), platform.machine())
