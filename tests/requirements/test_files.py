"""What is read of a machine's files: each planted, and taken away."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from requirements.planted import plant, running
from tortie.requirements.checks import (
    b2_cni,
    b3_others,
    b10_cloud,
    n3_kernel,
    n4_networkmanager,
    n5_managers,
    o2_migration,
    s1_forwarding,
    s2_rpfilter,
)
from tortie.requirements.fixing import fix_networkmanager
from tortie.requirements.listening import Holder, holders
from tortie.requirements.machine import Machine
from tortie.requirements.model import Finding, Verdict
from tortie.requirements.peer.answers import Way

OK, WARNING, MISSING = Verdict.OK, Verdict.WARNING, Verdict.MISSING
CONF = "etc/NetworkManager/conf.d/"
ALL = ";".join(f"interface-name:{name}" for name in n4_networkmanager.INTERFACES)
NM = running("NetworkManager")
CILIUM = '{"cniVersion":"0.3.1","name":"cilium","plugins":[{"type":"cilium-cni"}]}'
NOVA = "[DEFAULT]\ntransport_url = rabbit://x\n[compute]\n"

FILES: list[tuple[Callable[[Machine], Finding], Mapping[str, str], Verdict, str]] = [
    (n4_networkmanager.judge, {}, OK, "does not run"),
    (n4_networkmanager.judge, {**running("sshd"), f"{CONF}a.conf": ""}, OK, "does not run"),
    (n4_networkmanager.judge, {"run/NetworkManager/devices/2": ""}, WARNING, "cali*"),
    (n4_networkmanager.judge, NM, WARNING, "would manage cali*, tunl*"),
    (n4_networkmanager.judge, {**NM, f"{CONF}calico.conf": n4_networkmanager.TEXT}, OK, "leaves"),
    (
        n4_networkmanager.judge,  # as Calico's pages have it
        {**NM, f"{CONF}calico.conf": f"[keyfile]\nunmanaged-devices={ALL}\n"},
        OK,
        "leaves",
    ),
    (
        n4_networkmanager.judge,  # a later file begins the list anew
        {
            **NM,
            f"{CONF}calico.conf": f"[keyfile]\nunmanaged-devices={ALL}\n",
            f"{CONF}docker.conf": "[keyfile]\nunmanaged-devices=interface-name:docker0\n",
        },
        WARNING,
        "cali*",
    ),
    (
        n4_networkmanager.judge,  # a later file adds to it
        {
            **NM,
            f"{CONF}calico.conf": f"[keyfile]\nunmanaged-devices={ALL}\n",
            f"{CONF}docker.conf": "[keyfile]\nunmanaged-devices+=interface-name:docker0\n",
        },
        OK,
        "leaves",
    ),
    (
        n4_networkmanager.judge,  # a file of /etc hides that of the same name
        {
            **NM,
            "usr/lib/NetworkManager/conf.d/calico.conf": f"[keyfile]\nunmanaged-devices={ALL}\n",
            f"{CONF}calico.conf": "[main]\n",
        },
        WARNING,
        "cali*",
    ),
    (
        n4_networkmanager.judge,  # only half of it, and one name alone of many
        {**NM, f"{CONF}a.conf": "[keyfile]\nunmanaged-devices=interface-name:cali0;mac:00\n"},
        WARNING,
        "cali*",
    ),
    (n4_networkmanager.judge, {**NM, f"{CONF}a.conf": "no ini at all ]["}, WARNING, "cali*"),
    (n5_managers.judge, {}, OK, "none"),
    (n5_managers.judge, running("firewalld"), WARNING, "firewalld"),
    (n5_managers.judge, {"run/firewalld.pid": "7"}, WARNING, "firewalld"),
    (n5_managers.judge, {"etc/ufw/ufw.conf": "# x\nENABLED=yes\n"}, WARNING, "ufw"),
    (n5_managers.judge, {"etc/ufw/ufw.conf": "ENABLED=no\n"}, OK, "none"),
    (b2_cni.judge, {}, WARNING, "no container runtime"),
    (
        b2_cni.judge,
        {**running("containerd"), "opt/cni/bin/calico": "", "etc/cni/net.d/10-calico.conflist": ""},
        OK,
        "containerd; plugins: calico",
    ),
    (b2_cni.judge, running("crio"), WARNING, "there is no /etc/cni/net.d and no /opt/cni/bin"),
    (b3_others.judge, {}, OK, "none yet"),
    (b3_others.judge, {"etc/cni/net.d/05-cilium.conflist": CILIUM}, WARNING, "(cilium-cni)"),
    (b3_others.judge, {"etc/cni/net.d/05-cilium.conflist.bak": CILIUM}, OK, "none yet"),
    (b3_others.judge, {"etc/cni/net.d/99.conf": '{"type":"bridge"}'}, WARNING, "(bridge)"),
    (b3_others.judge, {"etc/cni/net.d/99.conf": "{"}, WARNING, "unreadable"),
    (b3_others.judge, {"etc/cni/net.d/99.conf": "[1]"}, WARNING, "unreadable"),
    (b10_cloud.judge, {}, OK, "none"),
    (b10_cloud.judge, {"sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}, OK, "Amazon"),
    (b10_cloud.judge, {"sys/class/dmi/id/product_name": "Google Compute Engine\n"}, OK, "Google"),
    (
        b10_cloud.judge,
        {"sys/class/dmi/id/chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77\n"},
        OK,
        "Azure",
    ),
    (o2_migration.judge, {}, WARNING, "no /etc/nova/nova.conf"),
    (o2_migration.judge, {"etc/nova/nova.conf": NOVA}, MISSING, "not set"),
    (
        o2_migration.judge,
        {"etc/nova/nova.conf": f"{NOVA}live_migration_wait_for_vif_plug = false\n"},
        OK,
        "false",
    ),
    (
        o2_migration.judge,  # a file beside it overrules
        {
            "etc/nova/nova.conf": f"{NOVA}live_migration_wait_for_vif_plug = false\n",
            "etc/nova/nova.conf.d/a.conf": "[compute]\nlive_migration_wait_for_vif_plug = true\n",
        },
        MISSING,
        "is true",
    ),
    (s1_forwarding.judge, {"proc/sys/net/ipv4/ip_forward": "1\n"}, OK, "IPv4 on"),
    (s1_forwarding.judge, {"proc/sys/net/ipv4/ip_forward": "0\n"}, OK, "switches it on"),
    (
        s1_forwarding.judge,
        {"etc/sysctl.conf": "# a\nnet/ipv4/ip_forward = 0\n"},
        WARNING,
        "/etc/sysctl.conf",
    ),
    (s2_rpfilter.judge, {"proc/sys/net/ipv4/conf/all/rp_filter": "2\n"}, WARNING, "loose"),
    (s2_rpfilter.judge, {"proc/sys/net/ipv4/conf/all/rp_filter": "1\n"}, OK, "strict"),
    (n3_kernel.judge, {"proc/sys/kernel/osrelease": "2.6.32-754\n"}, MISSING, "2.6.32"),
    (
        n3_kernel.judge,
        {"proc/sys/kernel/osrelease": "6.1.0\n", "etc/os-release": 'PRETTY_NAME="Flatcar"\n'},
        OK,
        "6.1.0, Flatcar",
    ),
]


@pytest.mark.parametrize(("judge", "files", "verdict", "words"), FILES)
def test_files_say(
    judge: Callable[[Machine], Finding],
    files: Mapping[str, str],
    verdict: Verdict,
    words: str,
    tmp_path: Path,
) -> None:
    found = judge(plant(tmp_path, files))
    assert (found.verdict, words in found.found) == (verdict, True), found


def test_networkmanagers_file_is_written_whole_and_readable_by_all(tmp_path: Path) -> None:
    machine = plant(tmp_path, {**NM, "etc/NetworkManager/NetworkManager.conf": "[main]\n"})
    assert n4_networkmanager.judge(machine).verdict is WARNING
    path = fix_networkmanager(machine)
    assert path == tmp_path / n4_networkmanager.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert n4_networkmanager.judge(machine).verdict is OK
    assert [one.name for one in path.parent.iterdir()] == ["calico.conf"]  # no staging is left
    assert fix_networkmanager(machine) is None  # there is nothing more to do


def test_a_file_of_somebody_elses_is_left_as_it_is(tmp_path: Path) -> None:
    theirs = "[keyfile]\nunmanaged-devices=interface-name:docker0\n"
    machine = plant(tmp_path, {**NM, f"{CONF}calico.conf": theirs})
    path = fix_networkmanager(machine)
    assert (tmp_path / n4_networkmanager.FILE).read_text() == theirs
    assert path == tmp_path / CONF / "tortie.conf"
    assert n4_networkmanager.judge(machine).verdict is OK


def test_nothing_is_written_where_networkmanager_is_not_installed(tmp_path: Path) -> None:
    assert fix_networkmanager(plant(tmp_path, running("sshd"))) is None
    assert not (tmp_path / "etc").exists()


def test_a_file_that_cannot_be_written_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = plant(tmp_path, {**NM, "etc/NetworkManager/NetworkManager.conf": "[main]\n"})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        fix_networkmanager(machine)
    assert list((tmp_path / CONF).iterdir()) == []


TCP = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  inode\n"
    "   0: 00000000:00B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0    "
    "    0 4711 1 0000000000000000 100 0 0 10 0\n"
    "   1: 0100007F:00B4 0100007F:00B3 01 00000000:00000000 00:00000000 00000000     0    "
    "    0 4712 1 0000000000000000 100 0 0 10 0\n"
)
BGP = Way("P1", "tcp", 179)


def test_who_listens_at_a_port_is_named(tmp_path: Path) -> None:
    machine = plant(tmp_path, {"proc/net/tcp": TCP, **running("sshd", "bird")})
    folder = tmp_path / "proc/101/fd"
    folder.mkdir()
    (folder / "3").symlink_to("socket:[4711]")
    assert holders(machine, BGP) == [Holder("bird")]


def test_a_socket_without_a_process_is_the_kernels(tmp_path: Path) -> None:
    machine = plant(tmp_path, {"proc/net/tcp": TCP, **running("sshd")})
    assert holders(machine, BGP) == [Holder("kernel")]


def test_a_connection_to_a_port_is_no_listener(tmp_path: Path) -> None:
    machine = plant(tmp_path, {"proc/net/tcp": TCP.replace(" 0A ", " 01 ")})
    assert holders(machine, BGP) == []
    assert holders(plant(tmp_path / "empty", {}), BGP) == []
