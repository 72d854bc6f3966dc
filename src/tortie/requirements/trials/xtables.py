"""iptables: every match and target of row L1 and of our rules, by both kinds of program."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from tortie.dataplane.iptables.commands import find
from tortie.requirements.trials.outcomes import batched
from tortie.requirements.tried import Outcome, Tried

BACKENDS = ("legacy", "nft")
_PROGRAMS = {4: "iptables", 6: "ip6tables"}
_SET = "tortie-trial"
_PATIENCE = 20.0  # seconds
_FAMILY = {4: "inet", 6: "inet6"}
_ADDRESS = {4: "192.0.2.1", 6: "2001:db8::1"}

# What is tried: the table, and the rule. {set} is a set of addresses of that IP version.
MATCHES: Mapping[str, tuple[str, str]] = {
    "set": ("filter", "FORWARD -m set --match-set {set} src -j DROP"),
    "rpfilter": ("raw", "PREROUTING -m rpfilter --invert --validmark -j DROP"),
    "addrtype": ("filter", "FORWARD -m addrtype --dst-type LOCAL -j DROP"),
    "comment": ("filter", "FORWARD -m comment --comment cali:trial -j DROP"),
    "conntrack": ("filter", "FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    "icmp": ("filter", "FORWARD -p icmp -m icmp --icmp-type 8 -j DROP"),
    "icmpv6": ("filter", "FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j DROP"),
    "tcp": ("filter", "FORWARD -p tcp -m tcp --dport 80 -j DROP"),
    "udp": ("filter", "FORWARD -p udp -m udp --dport 53 -j DROP"),
    "ipvs": ("filter", "FORWARD -m ipvs --ipvs -j DROP"),
    "mark": ("filter", "FORWARD -m mark --mark 0x10000/0x10000 -j DROP"),
    "multiport": ("filter", "FORWARD -p tcp -m multiport --dports 80,443 -j DROP"),
    "sctp": ("filter", "FORWARD -p sctp -m sctp --dport 80 -j DROP"),
    "u32": ("filter", "FORWARD -m u32 --u32 0x0>>0x18&0xf=0x4 -j DROP"),
    "connmark": ("filter", "FORWARD -m connmark --mark 0x1/0x1 -j DROP"),
    "connlimit": ("filter", "FORWARD -p tcp -m connlimit --connlimit-above 20 -j DROP"),
    "hashlimit": (
        "filter",
        "FORWARD -m hashlimit --hashlimit-above 10/sec --hashlimit-name trial -j DROP",
    ),
    "hl": ("filter", "FORWARD -m hl --hl-eq 255 -j DROP"),
}
TARGETS: Mapping[str, tuple[str, str]] = {
    "ACCEPT": ("filter", "FORWARD -j ACCEPT"),
    "DROP": ("filter", "FORWARD -j DROP"),
    "REJECT": ("filter", "FORWARD -j REJECT"),
    "LOG": ("filter", 'FORWARD -j LOG --log-prefix "trial: "'),
    "MARK": ("mangle", "FORWARD -j MARK --set-xmark 0x10000/0x10000"),
    "CONNMARK": ("mangle", "FORWARD -j CONNMARK --set-xmark 0x1/0x1"),
    "DSCP": ("mangle", "FORWARD -j DSCP --set-dscp 10"),
    "NOTRACK": ("raw", "PREROUTING -j CT --notrack"),
    "MASQUERADE": ("nat", "POSTROUTING -j MASQUERADE"),
    "SNAT": ("nat", "POSTROUTING -j SNAT --to-source {address}"),
    "DNAT": ("nat", "PREROUTING -j DNAT --to-destination {address}"),
}
_ONLY = {"icmp": 4, "icmpv6": 6, "hl": 6}


class Complaint(OSError):
    """What a program said before it failed."""


def names_of(backend: str, matches: Sequence[str], targets: Sequence[str]) -> tuple[str, ...]:
    """The trials of these matches and targets, for both IP versions."""
    return tuple(
        f"xt:{backend}:{version}:{what} {name}"
        for version in (4, 6)
        for what, some in (("match", matches), ("target", targets))
        for name in some
        if _ONLY.get(name, version) == version
    )


def try_iptables(names: Sequence[str]) -> Iterator[tuple[str, Tried]]:
    """ "xt:nft:4:match set" and its like."""
    for backend in BACKENDS:
        for version in (4, 6):
            some = [one for one in names if one.startswith(f"xt:{backend}:{version}:")]
            if some:
                yield from _of_program(backend, version, some)


def _of_program(backend: str, version: int, names: Sequence[str]) -> Iterator[tuple[str, Tried]]:
    program = f"{_PROGRAMS[version]}-{backend}-restore"
    if find(program) is None:
        words = f"the command {program} is missing: install the package iptables"
        yield from ((name, Tried(Outcome.LACKING, words)) for name in names)
        return
    name = f"{_SET}{version}"
    if find("ipset") is not None:  # without it the match is refused, and tells why
        _run(["ipset", "restore"], f"create {name} hash:net family {_FAMILY[version]}\n")

    def trial(some: Sequence[str]) -> None:
        _check([program], _text(some, version, name))

    yield from batched(names, trial, "CAP_NET_ADMIN")
    _run([program], _text([], version, name))  # else the set is in use
    _run(["ipset", "destroy", name], "")


def _text(names: Sequence[str], version: int, set_name: str) -> str:
    """What iptables-restore reads: every table anew, with these rules."""
    rules: dict[str, list[str]] = {}
    for name in names:
        what, feature = name.split(":", 3)[3].split(" ", 1)
        table, rule = (MATCHES if what == "match" else TARGETS)[feature]
        rule = rule.format(set=set_name, address=_ADDRESS[version])
        rules.setdefault(table, []).append(f"-A {rule}\n")
    tables = rules or {table: [] for table in ("filter", "mangle", "nat", "raw")}
    return "".join(f"*{table}\n{''.join(lines)}COMMIT\n" for table, lines in tables.items())


def try_sets(names: Sequence[str]) -> Iterator[tuple[str, Tried]]:
    """ "ipset:hash:net" and its like: a set of each IP version."""
    if find("ipset") is None:
        words = "the command ipset is missing: install the package ipset"
        yield from ((name, Tried(Outcome.LACKING, words)) for name in names)
        return
    yield from batched(names, _make_sets, "CAP_NET_ADMIN")


def _make_sets(names: Sequence[str]) -> None:
    kinds = [
        (f"{_SET}-{place}-{version}", name.partition(":")[2], family)
        for place, name in enumerate(names)
        for version, family in _FAMILY.items()
    ]
    made = "".join(f"create {name} {kind} family {family}\n" for name, kind, family in kinds)
    try:
        _check(["ipset", "restore"], made)
    finally:
        for name, *_ in kinds:
            _run(["ipset", "-exist", "destroy", name], "")


def _check(command: Sequence[str], text: str) -> None:
    """Run it. Raises OSError with what the program complained of."""
    complaint = _run(command, text)
    if complaint is not None:
        raise Complaint(complaint)


def _run(command: Sequence[str], text: str) -> str | None:
    """What the program complained of; None where it did as asked.

    The lock of iptables is a file in memory: nothing is made under /run, and whoever holds the
    real one has nothing to do with a namespace of ours.
    """
    program = find(command[0])
    if program is None:
        return f"the command {command[0]} is missing"
    lock = os.memfd_create("xtables.lock", 0)
    try:
        done = subprocess.run(
            [program, *command[1:]],
            input=text,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            env={
                "PATH": "/usr/sbin:/sbin:/usr/bin:/bin",
                "LC_ALL": "C",
                "XTABLES_LOCKFILE": f"/proc/self/fd/{lock}",
            },
            pass_fds=[lock],
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end within {_PATIENCE:g} s"
    finally:
        os.close(lock)
    return None if done.returncode == 0 else " ".join(done.stderr.split()) or "no reason given"
