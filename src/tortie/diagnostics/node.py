"""What a bundle of a node holds: its kernel's state, its daemons' words, its files and logs."""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tortie
from tortie.diagnostics.items import Item, answer, command, file

Ask = Callable[[str, str, str], dict[str, Any]]
"""Asks a daemon: path of its socket, verb, the daemon's name."""

_LOGS = ("/var/log/calico", "/var/log/tortie")
_NET_D = "/etc/cni/net.d"
_SECRET = (".key", ".pem", "-key", "kubeconfig", "secret", "token")


def node_items(run_dir: str, ask: Ask, check: str) -> Iterator[Item]:
    """Everything, in the order of its names. `check` is what `tortie node check` found, as JSON."""
    yield Item("machine/versions", _versions)
    yield Item("machine/check.json", lambda: check)
    yield from _machine()
    yield from _network()
    yield from _firewall()
    yield from _daemons(run_dir, ask)
    yield from _files(run_dir)


def _versions() -> str:
    uname = platform.uname()
    return (
        f"tortie {tortie.__version__}\npython {sys.version}\n"
        f"{uname.system} {uname.release} {uname.version} {uname.machine}\n"
    )


def _machine() -> Iterator[Item]:
    for name in (
        "/etc/os-release",
        "/proc/meminfo",
        "/proc/loadavg",
        "/proc/modules",
        "/proc/mounts",
    ):
        yield file(f"machine/{Path(name).name}", name)
    yield command("machine/sysctls", "sysctl", "-a", "--pattern", r"^net\.")
    yield command("machine/processes", "ps", "-eo", "pid,ppid,user,rss,etime,comm")
    yield command("machine/kernel-log", "dmesg", "--ctime")


def _network() -> Iterator[Item]:
    for version in (4, 6):
        family = f"-{version}"
        yield command(
            f"network/routes-{version}", "ip", "-d", family, "route", "show", "table", "all"
        )
        yield command(f"network/rules-{version}", "ip", family, "rule")
        yield command(f"network/neighbours-{version}", "ip", "-s", family, "neigh")
    yield command("network/addresses", "ip", "address")
    yield command("network/links", "ip", "-d", "-s", "link")
    yield command("network/forwarding-entries", "bridge", "fdb", "show")
    yield command("network/wireguard", "wg", "show", "all")
    yield command("network/queues", "tc", "-s", "qdisc", "show")
    yield command("network/sockets", "ss", "-Hanptu")
    yield command("network/connections", "conntrack", "-S")
    yield file("network/counters", "/proc/net/snmp")
    yield file("network/counters-of-tcp", "/proc/net/netstat")


def _firewall() -> Iterator[Item]:
    yield command("firewall/nftables", "nft", "--handle", "list", "ruleset")
    for variant in ("nft", "legacy"):
        for family in ("iptables", "ip6tables"):
            yield command(f"firewall/{family}-{variant}", f"{family}-{variant}-save", "-c")
    yield command("firewall/ipsets", "ipset", "save")


def _daemons(run_dir: str, ask: Ask) -> Iterator[Item]:
    agent, bgp = os.path.join(run_dir, "agent.sock"), os.path.join(run_dir, "bgp.sock")
    for verb in ("status", "settings"):
        yield answer(f"agent/{verb}.json", _asking(ask, agent, verb, "tortie agent"))
    for verb in ("status", "routes"):
        yield answer(f"bgp/{verb}.json", _asking(ask, bgp, verb, "tortie bgp"))
    for unit in ("tortie-agent", "tortie-bgp"):
        yield command(
            f"logs/{unit}", "journalctl", "--no-pager", "--unit", unit, "--lines", "5000"
        )  # fmt: skip


def _asking(ask: Ask, path: str, verb: str, daemon: str) -> Callable[[], dict[str, Any]]:
    return lambda: ask(path, verb, daemon)


def _files(run_dir: str) -> Iterator[Item]:
    yield file("bgp/bird.conf", os.path.join(run_dir, "bgp", "bird", "bird.conf"))
    yield file("agent/mtu", os.path.join(run_dir, "mtu"))
    for folder in (_NET_D, *_LOGS):
        for path in _beneath(Path(folder)):
            yield file(f"files{path}", path)


def _beneath(folder: Path) -> list[Path]:
    """Its files but for those that are nothing but secrets; no link leads elsewhere."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.endswith(_SECRET)
    ]
