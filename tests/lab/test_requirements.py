"""Where the machine lacks something, one line says what to do."""

import asyncio
import errno
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tortie.lab.cluster import Lab
from tortie.lab.errors import LabError
from tortie.lab.plan import Encap, shape_of
from tortie.lab.progress import Silent
from tortie.lab.requirements import check_requirements
from tortie.linux.links import Links
from tortie.linux.namespaces import names
from tortie.linux.netlink.rtlink import NewLink
from tortie.linux.netlink.sockets import NetlinkError


def lacking(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """As a kernel without that kind of interface."""
    create = Links.create

    def refusing(links: Links, link: NewLink) -> None:
        if link.kind == kind:
            raise NetlinkError(errno.EOPNOTSUPP, "Unknown device type", "creating something")
        create(links, link)

    monkeypatch.setattr(Links, "create", refusing)


def refused(labs: Path, encap: Encap = Encap.VXLAN) -> str:
    """Why there is no lab of one node; nothing of one is there."""
    name = f"t{os.getpid()}-r"
    with pytest.raises(LabError) as refusal:
        asyncio.run(Lab.create(name, shape_of(1, encap), Silent(), labs))
    assert (list(labs.iterdir()), [one for one in names() if name in one]) == ([], [])
    return str(refusal.value)


def test_without_root_it_says_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"needs root, .*: run it with sudo"):
        check_requirements()


WITHOUT_CAPABILITIES = ["setpriv", "--bounding-set", "-net_admin,-sys_admin"]
READ_ONLY = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec "
WITH_READ_ONLY_SYSCTLS = ["unshare", "-m", "--propagation", "private", "sh", "-c"]


@pytest.mark.root
@pytest.mark.parametrize("words", [("status",), ("up",), ("demo",)])
def test_in_a_container_without_privileges_one_line_says_how_to_run_it(
    words: tuple[str, ...],
) -> None:
    command = [sys.executable, "-m", "tortie.cli", "lab", *words]
    told = subprocess.run(
        [*WITHOUT_CAPABILITIES, *command], capture_output=True, text=True, check=False
    )
    expected = "tortie: root lacks CAP_NET_ADMIN and CAP_SYS_ADMIN here: run the container --priv"
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith(expected)
    assert told.stderr.count("\n") == 1


@pytest.mark.root
def test_read_only_sysctls_are_told_before_anything_is_made() -> None:
    command = shlex.join([sys.executable, "-m", "tortie.cli", "lab", "demo"])
    told = subprocess.run(
        [*WITH_READ_ONLY_SYSCTLS, READ_ONLY + command], capture_output=True, text=True, check=False
    )
    message = "tortie: /proc/sys is read-only here: run the container --privileged\n"
    assert (told.returncode, told.stdout, told.stderr) == (1, "", message)


@pytest.mark.root
@pytest.mark.parametrize("kind", ["bridge", "vxlan", "veth"])
def test_a_kernel_without_a_kind_of_interface_is_told_apart(
    labs: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, kind)
    assert f"can't make {kind} interfaces: load its module (modprobe {kind})" in refused(labs)


@pytest.mark.root
def test_a_missing_nftables_library_names_its_package(
    labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tortie.linux.libnftables._LIBRARY", "libnftables.so.none")
    told = refused(labs)
    assert told.startswith("nftables can't be used: ")
    assert "install the package libnft" in told


@pytest.mark.root
@pytest.mark.parametrize(
    ("encap", "message"),
    [
        (Encap.IPIP, "modprobe ipip), or choose another --encap"),
        (Encap.WIREGUARD, "modprobe wireguard), or install wireguard-go"),
    ],
)
def test_what_a_tunnel_needs_is_told_before_anything_is_made(
    labs: Path, encap: Encap, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_words, **_more: None)
    lacking(monkeypatch, encap.value)
    assert message in refused(labs, encap)


@pytest.mark.root
def test_without_bird_there_is_no_lab_with_bgp(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_words, **_more: None)
    assert "install Debian's package bird2" in refused(labs, Encap.BGP)
