"""Units of systemd, each with no more rights than its daemon needs. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

SETTINGS = "/etc/tortie/tortie.env"
MADE = "# Made by `tortie install host`; your own settings belong into `systemctl edit`."
_CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SYS_MODULE")
_BIRDS = ("CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW")
# BIRD gives up root for an account of its own, and its folder is that account's.
_FOR_AN_ACCOUNT = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP")
_SHUT = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}
_WITHOUT_ROOT = {
    "DynamicUser": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "MemoryDenyWriteExecute": "yes",
    "CapabilityBoundingSet": "",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
}


class Daemon(NamedTuple):
    """A daemon of ours: its unit's name, what it is, its command, what its unit grants."""

    unit: str
    about: str
    command: str
    service: Mapping[str, str]
    after: tuple[str, ...] = ()
    before_it: tuple[str, ...] = ()  # commands that have to succeed first


def _daemon(*words: str, caps: tuple[str, ...], **service: str) -> Mapping[str, str]:
    bounded = {"CapabilityBoundingSet": " ".join(caps)}
    paths = {"ReadWritePaths": " ".join(words)} if words else {}
    return {**_SHUT, **bounded, **paths, **service}


DAEMONS = (
    Daemon(
        "tortie-agent",
        "Tortie's node agent: policy, routes, tunnels",
        "agent",
        _daemon(
            # /proc/sys is written: forwarding, source checks. Namespaces of workloads are entered.
            *("/run", "/proc/sys", "/var/lib/tortie", "/var/lib/calico"),
            caps=_CAPABILITIES,
            RestrictAddressFamilies="AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX",
            RuntimeDirectory="tortie",
            RuntimeDirectoryMode="0700",
            RuntimeDirectoryPreserve="yes",  # what was promised and learnt outlives a restart
            StateDirectory="tortie calico",
            KillMode="process",  # wireguard-go goes on while the agent is replaced
        ),
        after=("network-pre.target",),
        before_it=("node start",),
    ),
    Daemon(
        "tortie-bgp",
        "Tortie's BGP: BIRD, configured from the cluster's resources",
        "bgp",
        _daemon(
            caps=(*_BIRDS, *_FOR_AN_ACCOUNT),
            RuntimeDirectory="tortie",
            RuntimeDirectoryMode="0700",
            RuntimeDirectoryPreserve="yes",
            RestrictAddressFamilies="AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX",
            KillMode="process",
        ),
        after=("tortie-agent.service",),
    ),
    Daemon(
        "tortie-fanout",
        "Tortie's fan-out: one follower of the datastore for many agents",
        "fanout",
        {**_SHUT, **_WITHOUT_ROOT, "LimitNOFILE": "65536"},
        after=("network-online.target",),
    ),
    Daemon(
        "tortie-controllers",
        "Tortie's controllers: what the cluster needs seen to",
        "controllers",
        {**_SHUT, **_WITHOUT_ROOT},
        after=("network-online.target",),
    ),
)


def unit_text(daemon: Daemon, program: str) -> str:
    """The unit's file. `program` is the path of `tortie`."""
    after = " ".join(daemon.after)
    lines = [MADE, "[Unit]", f"Description={daemon.about}"]
    lines += ["Documentation=man:systemd.exec(5)", f"After={after}", f"Wants={after}", ""]
    lines += ["[Service]", f"EnvironmentFile=-{SETTINGS}"]
    lines += [f"ExecStartPre={program} {words}" for words in daemon.before_it]
    lines += [f"ExecStart={program} {daemon.command}"]
    lines += ["Restart=always", "RestartSec=1", "TimeoutStopSec=60"]
    lines += [f"{name}={value}" for name, value in daemon.service.items()]
    return "\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target", ""])
