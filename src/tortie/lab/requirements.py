"""What a lab needs of the machine, with one line that says what to do where it is not there."""

import errno
import os
import shutil
from pathlib import Path

from tortie.lab.errors import LabError
from tortie.lab.plan import Encap
from tortie.linux.libnftables import Nftables, NftError
from tortie.linux.links import Links
from tortie.linux.namespaces import in_new_namespace
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.requirements.rights import held, lacking
from tortie.requirements.trials.devices import make_device

_TRIAL = "tortie-trial"
_DAEMONS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN")
_SYSCTL = "/proc/sys/net/ipv4/ip_forward"


def check_requirements() -> None:
    """Before anything is made. Raises LabError."""
    if os.geteuid() != 0:
        raise LabError("a lab needs root, to make network namespaces: run it with sudo")
    if not Path("/proc/self/ns/net").exists():
        raise LabError("this kernel has no network namespaces: it needs CONFIG_NET_NS")
    if missing := lacking(held(), _CAPABILITIES):
        raise LabError(f"root lacks {' and '.join(missing)} here: run the container --privileged")
    if not os.access(_SYSCTL, os.W_OK):
        raise LabError("/proc/sys is read-only here: run the container --privileged")


def check_kernel(encap: Encap) -> None:
    """Try what nodes are going to need, where nothing of it stays. Raises LabError."""
    with in_new_namespace():
        with NetlinkSocket() as sock:
            _check_cables(Links(sock))
            _check_tunnel(Links(sock), encap)
        try:
            with Nftables() as nft:
                nft.run(f"add table inet {_TRIAL}; delete table inet {_TRIAL}")
        except NftError as error:
            raise LabError(f"nftables can't be used: {error}") from None


def _check_cables(links: Links) -> None:
    for kind in ("bridge", "veth"):
        _check_device(links, kind)


def _check_tunnel(links: Links, encap: Encap) -> None:
    if encap in (Encap.VXLAN, Encap.IPIP):
        _check_device(links, encap.value, ", or choose another --encap")
    elif encap is Encap.WIREGUARD and shutil.which("wireguard-go") is None:
        _check_device(links, "wireguard", ", or install wireguard-go")
    elif encap is Encap.BGP and shutil.which("bird", path=_DAEMONS) is None:
        raise LabError("a lab with BGP needs BIRD: install Debian's package bird2")


def _check_device(links: Links, kind: str, hint: str = "") -> None:
    try:
        make_device(links, kind)
    except NetlinkError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise LabError(
                f"this kernel can't make {kind} interfaces: load its module (modprobe {kind}){hint}"
            ) from None
        raise
