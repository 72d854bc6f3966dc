"""nftables: tables, hooks, sets, and each expression that our rules are made of."""

from collections.abc import Iterator, Mapping, Sequence

from tortie.linux.libnftables import Nftables, NftError
from tortie.requirements.trials.outcomes import batched
from tortie.requirements.tried import Outcome, Tried

_TABLE = "tortie-trial"
_FORWARD = "type filter hook forward priority 0;"
_RAW = "type filter hook prerouting priority -300;"
_AFTER = "type nat hook postrouting priority 100;"
_BEFORE = "type nat hook prerouting priority -100;"

RULES: Mapping[str, tuple[str, str]] = {
    # What is tried: the chain that it needs, and a rule with it.
    "ct state": (_FORWARD, "ct state established,related accept"),
    "ct mark": (_FORWARD, "ct mark set mark"),
    "fib": (_RAW, "fib saddr . iif oif missing drop"),
    "fib type": (_FORWARD, "fib daddr type local accept"),
    "interface names": (_FORWARD, 'iifname "cali*" drop'),
    "limit": (_FORWARD, "limit rate 10/second burst 5 packets accept"),
    "ct count": (_FORWARD, "ct count over 20 drop"),
    "log": (_FORWARD, 'log prefix "trial: " accept'),
    "mark": (_FORWARD, "meta mark set meta mark and 0xffff0000 or 0x10000"),
    "masquerade": (_AFTER, "masquerade"),
    "snat": (_AFTER, "snat to {address}"),
    "dnat": (_BEFORE, "dnat to {address}"),
    "notrack": (_RAW, "notrack"),
    "reject": (_FORWARD, "reject"),
    "tcp": (_FORWARD, "tcp dport 80 accept"),
    "udp": (_FORWARD, "udp dport 53 accept"),
    "sctp": (_FORWARD, "sctp dport 80 accept"),
    "dscp": (_FORWARD, "{family} dscp set 10"),
}
SETS: Mapping[str, str] = {
    "nets": "set s {{ type {type}; flags interval; elements = {{ {address} }}; }}",
    "ports": "set s {{ type {type} . inet_proto . inet_service; }}",
    "dispatch map": "map m {{ type ifname : verdict; flags interval;"
    ' elements = {{ "a*" : drop }}; }}',
}
_ADDRESSES = {"ip": "192.0.2.1", "ip6": "2001:db8::1"}
_TYPES = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
NAMES = tuple(f"nft:{version}:{name}" for version in (4, 6) for name in ("table", *RULES, *SETS))


def try_nftables(names: Sequence[str]) -> Iterator[tuple[str, Tried]]:
    """ "nft:4:fib" and its like; each in a table of its own."""
    try:
        nft = Nftables()
    except NftError as error:
        yield from ((name, Tried(Outcome.LACKING, str(error))) for name in names)
        return
    with nft:
        yield from batched(names, lambda some: _run(nft, some), "CAP_NET_ADMIN")


def _run(nft: Nftables, names: Sequence[str]) -> None:
    """All in one transaction; then nothing of it is left."""
    nft.run("".join(map(_made, names)))
    nft.run("".join(f"delete table {_where(name)}\n" for name in names))


def _where(name: str) -> str:
    family = "ip" if name.split(":")[1] == "4" else "ip6"
    return f"{family} {_TABLE}-{NAMES.index(name)}"


def _made(name: str) -> str:
    """The commands for one trial."""
    where = _where(name)
    family, feature = where.split()[0], name.split(":", 2)[2]
    words = {"family": family, "address": _ADDRESSES[family], "type": _TYPES[family]}
    text = f"add table {where}\n"
    if feature in SETS:
        kind, rest = SETS[feature].format(**words).split(" ", 1)
        return text + f"add {kind} {where} {rest}\n"
    if feature in RULES:
        chain, rule = RULES[feature]
        text += f"add chain {where} c {{ {chain} }}\nadd rule {where} c {rule.format(**words)}\n"
    return text
