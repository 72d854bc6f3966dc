"""Each check's verdicts, as values: there, and taken away."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tortie.cloud.detect import Cloud
from tortie.net import parse_network
from tortie.requirements.checks import (
    b1_kubernetes,
    b2_cni,
    b3_others,
    b4_kube_proxy,
    b5_masquerade,
    b6_ranges,
    b7_istio,
    b10_cloud,
    k1_etcd,
    k2_kubernetes,
    k3_rights,
    l1_iptables,
    l1_nftables,
    l2_sets,
    l3_conntrack,
    l4_ipvs,
    l5_devices,
    l6_bpf,
    n1_processor,
    n2_interfaces,
    n3_kernel,
    n4_networkmanager,
    n5_managers,
    n7_rights,
    n8_tools,
    n8_variants,
    o2_migration,
    ports,
    s1_forwarding,
    s2_rpfilter,
    s3_mtu,
    s4_clock,
)
from tortie.requirements.cluster.facts import Cluster, Etcd, KubeProxy, Kubernetes
from tortie.requirements.listening import Holder
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Verdict
from tortie.requirements.modes import Dataplane, Encap, Modes
from tortie.requirements.peer.answers import WAYS, Passed, PeerReport, Way
from tortie.requirements.tried import WORKS, Outcome, Tried

OK, WARNING, MISSING = Verdict.OK, Verdict.WARNING, Verdict.MISSING
NOWHERE = Path("/nonexistent")  # a machine without a single file
ALL = (1 << 41) - 1
DEFAULT = Modes()
ABSENT = Tried(Outcome.LACKING, "Unknown device type (ENOTSUP)")
CLOSED = Tried(Outcome.FORBIDDEN, "needs CAP_NET_ADMIN to be tried")


class Case(NamedTuple):
    """What a check has to say. `words` are in what it found, or in what to do."""

    check: Check
    verdict: Verdict
    finding: Callable[[], Finding]
    words: str = ""


def machine(
    modes: Modes = DEFAULT,
    tried: Mapping[str, Tried] | None = None,
    cluster: Cluster | None = None,
    peer: PeerReport | None = None,
) -> Machine:
    return Machine(modes, NOWHERE, tried or {}, cluster, peer)


def trials(check: Check, **changed: Tried) -> Mapping[str, Tried]:
    """All of a check's trials work, but for those whose name ends with a word given."""
    found = dict.fromkeys(check.trials, WORKS)
    for ending, came in changed.items():
        found |= {name: came for name in found if name.endswith(ending.replace("_", " "))}
    return found


def after(check: Check, modes: Modes = DEFAULT, **changed: Tried) -> Callable[[], Finding]:
    return lambda: check.judge(machine(modes, trials(check, **changed)))


def of(kubernetes: Kubernetes | None = None, **more: object) -> Machine:
    return machine(cluster=Cluster("a cluster", kubernetes, **more))  # type: ignore[arg-type]


def kube(**facts: object) -> Kubernetes:
    return Kubernetes("https://api:6443", **facts)  # type: ignore[arg-type]


BPF = Modes(dataplane=Dataplane.BPF)
IPTABLES = Modes(dataplane=Dataplane.IPTABLES)
TOOLS = {
    "iptables": "iptables v1.8.9 (legacy)",
    "ip6tables": "ip6tables v1.8.9 (legacy)",
    "ipset": "ipset v7.17, protocol version: 7",
    "conntrack": "conntrack v1.4.7 (conntrack-tools)",
    "nft": "nftables v1.0.6 (Lester Gooch #5)",
    "ip": "ip utility, iproute2-6.1.0, libbpf 1.1.0",
}
NETS = [("pool a", parse_network("10.0.0.0/16"))]
SERVICES = [("the service range", parse_network("10.96.0.0/12"))]


def ranges(*hosts: str, pool: str = "10.0.0.0/16") -> Callable[[], Finding]:
    nets = [("pool a", parse_network(pool))]
    return lambda: b6_ranges.judge_ranges(
        nets, SERVICES, [("a route by eth0", parse_network(one)) for one in hosts]
    )


def proxy(modes: Modes = DEFAULT, device: bool = False, **facts: object) -> Callable[[], Finding]:
    return lambda: b4_kube_proxy.judge_proxy(
        KubeProxy(**facts),  # type: ignore[arg-type]
        device,
        modes,
    )


MASQUERADED = (
    "-A KUBE-SVC-NPX46M4PTMTKRN6Y -d 10.96.0.1/32 -p tcp -m comment --comment "
    '"default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-MARK-MASQ\n'
)
BY_IPVS = (
    '-A KUBE-SERVICES -m comment --comment "Kubernetes service cluster ip + port for masquerade '
    'purpose" -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ\n'
)
OF_ITSELF = (  # a pod that reaches itself by its service, and who comes by a node's port
    '-A KUBE-SEP-5K -s 10.0.0.9/32 -m comment --comment "a/b" -j KUBE-MARK-MASQ\n'
    "-A KUBE-EXT-5K -m comment --comment "
    '"masquerade traffic for a/b external destinations" -j KUBE-MARK-MASQ\n'
    + MASQUERADED.replace("-d 10", "! -s 10.244.0.0/16 -d 10")
    + BY_IPVS.replace("-m comment", "! -s 10.244.0.0/16 -m comment", 1)
)


def masquerade(**facts: object) -> Callable[[], Finding]:
    proxy = KubeProxy(**facts)  # type: ignore[arg-type]
    return lambda: b5_masquerade.judge(of(kube(proxy=proxy)))


def port_cases() -> list[Case]:
    found = []
    for check in ports.CHECKS:
        tests = [test for test in WAYS if test.row == check.row]
        must = check.row in ("P1", "P2", "P3", "P5")
        good = PeerReport("peer", *[dict.fromkeys(tests, Passed(True))] * 2)
        bad = good._replace(back=dict.fromkeys(tests, Passed(False)))
        unknown = good._replace(back=dict.fromkeys(tests, Passed(False, "no right", known=False)))
        absent = PeerReport("peer", problem="nobody listens at peer")
        blocked = MISSING if must else WARNING
        found += [
            Case(check, OK, asked(check, good), "both ways"),
            Case(check, blocked, asked(check, bad), "does not pass from peer"),
            Case(check, WARNING, asked(check, unknown), "no right"),
            Case(check, WARNING, asked(check, absent), "nobody listens"),
            Case(check, OK, asked(check, None), "free" if tests[0].kind != "ip" else "protocol 4"),
        ]
    return found


def asked(check: Check, peer: PeerReport | None) -> Callable[[], Finding]:
    return lambda: check.judge(machine(peer=peer))


def held(*names: str) -> Callable[[], Finding]:
    test = Way("P1", "tcp", 179)
    some = {test: [Holder(name) for name in names]}
    return lambda: ports.judge_local(some, frozenset({"bird"}))


def nm(text: str, runs: bool = True) -> Callable[[], Finding]:
    return lambda: n4_networkmanager.judge_list(runs, n4_networkmanager.unguarded([text]))


def unlisted(check: Check, words: str) -> Case:
    """Nobody was asked."""
    return Case(check, WARNING, lambda: check.judge(machine()), words)


N7 = n7_rights.CHECK


def rights(bits: int, sysctls: Tried = WORKS, modes: Modes = DEFAULT) -> Callable[[], Finding]:
    tried = {"tracking:sysctls": sysctls}
    return lambda: n7_rights.judge_rights(bits, machine(modes, tried))


LEGACY_U32 = {name: ABSENT for name in l1_iptables.CHECK.trials if "u32" in name}

CASES = [
    Case(n1_processor.CHECK, OK, lambda: n1_processor.judge_name("s390x"), "s390x"),
    Case(n1_processor.CHECK, OK, lambda: n1_processor.judge_name("aarch64"), "arm64"),
    Case(n1_processor.CHECK, WARNING, lambda: n1_processor.judge_name("riscv64"), "riscv64"),
    Case(n2_interfaces.CHECK, OK, lambda: n2_interfaces.judge_names({"tunl0": "ipip"}), "tunl0"),
    Case(n2_interfaces.CHECK, OK, lambda: n2_interfaces.judge_names({"wireguard.cali": "tun"})),
    Case(
        n2_interfaces.CHECK,
        WARNING,
        lambda: n2_interfaces.judge_names({"vxlan.calico": "dummy"}),
        "vxlan.calico is a dummy, not vxlan",
    ),
    Case(n3_kernel.CHECK, OK, lambda: n3_kernel.judge_release("3.10.0-1160", "", IPTABLES)),
    Case(n3_kernel.CHECK, OK, lambda: n3_kernel.judge_release("6.1.0-18", "Debian", BPF), "Debian"),
    Case(n3_kernel.CHECK, MISSING, lambda: n3_kernel.judge_release("3.10.0", "", Modes()), "4.18"),
    Case(n3_kernel.CHECK, MISSING, lambda: n3_kernel.judge_release("4.19.1", "", BPF), "5.3"),
    Case(n3_kernel.CHECK, MISSING, lambda: n3_kernel.judge_release("2.6.32", "", IPTABLES), "3.10"),
    Case(n4_networkmanager.CHECK, OK, nm(n4_networkmanager.TEXT), "leaves"),
    Case(n4_networkmanager.CHECK, WARNING, nm("[main]\nplugins=keyfile\n"), "cali*"),
    Case(n4_networkmanager.CHECK, OK, nm("", runs=False), "does not run"),
    Case(n5_managers.CHECK, OK, lambda: n5_managers.judge(machine()), "none"),
    Case(n5_managers.CHECK, WARNING, lambda: n5_managers.judge_found(["firewalld"]), "firewalld"),
    *[
        Case(
            n5_managers.CHECK,
            WARNING if names else OK,
            lambda text=text: n5_managers.judge_found(  # type: ignore[misc]
                n5_managers.names_in(text)
            ),
            names,
        )
        for text, names in (
            ("table inet firewalld\ntable ip nat\n", "firewalld"),
            ("*filter\n:INPUT DROP [0:0]\n:ufw-user-input - [0:0]\n", "ufw"),
            ("*filter\n:INPUT ACCEPT [0:0]\n:cali-INPUT - [0:0]\n", ""),
        )
    ],
    Case(N7, OK, rights(ALL)),
    Case(N7, OK, rights(ALL, modes=BPF), "CAP_BPF"),
    Case(N7, MISSING, rights(ALL & ~(1 << 21)), "CAP_SYS_ADMIN"),
    Case(N7, MISSING, rights(ALL & ~(1 << 39), modes=BPF), "CAP_BPF"),
    Case(N7, MISSING, rights(ALL, Tried(Outcome.LACKING, "Read-only file system")), "/proc/sys"),
    Case(n8_tools.CHECK, OK, lambda: n8_tools.judge_versions(TOOLS, IPTABLES), "ipset 7.17"),
    Case(
        n8_tools.CHECK,
        MISSING,
        lambda: n8_tools.judge_versions(TOOLS | {"ipset": "ipset v6.10"}, IPTABLES),
        "6.11 or later",
    ),
    Case(
        n8_tools.CHECK,
        MISSING,
        lambda: n8_tools.judge_versions(TOOLS | {"iptables": "iptables v1.4.6"}, IPTABLES),
        "1.4.7 or later",
    ),
    Case(
        n8_tools.CHECK,
        WARNING,
        lambda: n8_tools.judge_versions(TOOLS | {"iptables": "", "conntrack": ""}, Modes()),
        "install iptables, conntrack",
    ),
    Case(
        n8_tools.CHECK,
        WARNING,
        lambda: n8_tools.judge_versions(TOOLS | {"conntrack": "conntrack v1.4.0"}, Modes()),
        "1.4.1 or later",
    ),
    Case(n8_variants.CHECK, OK, lambda: n8_variants.judge_counts({"legacy": 0, "nft": 0})),
    Case(
        n8_variants.CHECK, OK, lambda: n8_variants.judge_counts({"legacy": 3, "nft": 0}), "legacy"
    ),
    Case(n8_variants.CHECK, WARNING, lambda: n8_variants.unreadable("nft"), "can't be read"),
    Case(n8_variants.CHECK, WARNING, lambda: n8_variants.judge_counts({"legacy": 3, "nft": 1})),
    unlisted(k1_etcd.CHECK, "--datastore"),
    Case(
        k1_etcd.CHECK,
        OK,
        lambda: k1_etcd.judge(of(etcd=Etcd(("a", "b", "c"), "3.5.9", True, True))),
        "etcd 3.5.9",
    ),
    Case(
        k1_etcd.CHECK,
        WARNING,
        lambda: k1_etcd.judge(of(etcd=Etcd(("a",), "3.4.23"))),
        "3 members, TLS, authentication",
    ),
    Case(
        k1_etcd.CHECK,
        MISSING,
        lambda: k1_etcd.judge(of(etcd=Etcd(("a",), problem="refused"))),
        "refused",
    ),
    Case(k1_etcd.CHECK, MISSING, lambda: k1_etcd.judge(of(etcd=Etcd(("a",), "2.3.8"))), "etcd v3"),
    Case(
        k1_etcd.CHECK,
        WARNING,
        lambda: k1_etcd.judge(of(etcd=Etcd(("a", "b"), "3.5.9", silent=("b",)))),
        "b of 2 members",
    ),
    unlisted(k2_kubernetes.CHECK, "--datastore"),
    Case(k2_kubernetes.CHECK, OK, lambda: k2_kubernetes.judge(of(kube())), "https://api"),
    Case(
        k2_kubernetes.CHECK,
        MISSING,
        lambda: k2_kubernetes.judge(of(kube(problem="no answer"))),
        "no answer",
    ),
    unlisted(k3_rights.CHECK, "can't be asked"),
    Case(k3_rights.CHECK, OK, lambda: k3_rights.judge(of(kube()))),
    Case(
        k3_rights.CHECK,
        MISSING,
        lambda: k3_rights.judge(of(kube(denied=tuple(f"get {name}" for name in "abcdefgh")))),
        "get a, get b, get c, get d, get e, get f and 2 more",
    ),
    Case(ports.CHECKS[0], OK, held("bird"), "in use (bird)"),
    Case(ports.CHECKS[0], OK, held(""), "in use"),
    Case(
        ports.CHECKS[6],
        OK,
        lambda: ports.tell_local({Way("P8", "tcp", 443): [Holder("envoy")]}),
        "TCP 443 in use (envoy)",
    ),
    Case(ports.CHECKS[0], WARNING, held("smbd"), "TCP 179 is smbd's"),
    *port_cases(),
    unlisted(b1_kubernetes.CHECK, "KUBECONFIG"),
    Case(b1_kubernetes.CHECK, OK, lambda: b1_kubernetes.judge_version("v1.30.2")),
    Case(b1_kubernetes.CHECK, OK, lambda: b1_kubernetes.judge_version("v1.27.16-eks-a737599")),
    Case(
        b1_kubernetes.CHECK, WARNING, lambda: b1_kubernetes.judge_version("v1.26.1"), "not tested"
    ),
    Case(
        b1_kubernetes.CHECK, WARNING, lambda: b1_kubernetes.judge_version("v1.21.0"), "not tested"
    ),
    Case(b1_kubernetes.CHECK, MISSING, lambda: b1_kubernetes.judge_version("v1.20.15"), "1.21"),
    Case(b1_kubernetes.CHECK, WARNING, lambda: b1_kubernetes.judge_version("main"), "no release"),
    Case(b2_cni.CHECK, OK, lambda: b2_cni.judge_found(["containerd"], ["calico"], [])),
    Case(b2_cni.CHECK, WARNING, lambda: b2_cni.judge_found([], [], []), "no container runtime"),
    Case(b2_cni.CHECK, WARNING, lambda: b2_cni.judge(machine()), "there is no /etc/cni/net.d"),
    Case(b3_others.CHECK, OK, lambda: b3_others.judge_configurations({}, False), "none yet"),
    Case(
        b3_others.CHECK,
        OK,
        lambda: b3_others.judge_configurations({"10-calico.conflist": ["calico"]}, False),
    ),
    Case(
        b3_others.CHECK,
        WARNING,
        lambda: b3_others.judge_configurations(
            {"05-cilium.conf": ["cilium-cni"], "10-calico.conflist": ["calico"]}, False
        ),
        "the runtime takes 05-cilium.conf",
    ),
    Case(
        b3_others.CHECK,
        WARNING,
        lambda: b3_others.judge_configurations(
            {"10-calico.conflist": ["calico"], "87-podman.conflist": ["bridge"]}, False
        ),
        "beside 10-calico.conflist",
    ),
    Case(
        b3_others.CHECK,
        OK,
        lambda: b3_others.judge_configurations(
            {"10-canal.conflist": ["calico", "portmap"], "20-flannel.conflist": ["flannel"]}, True
        ),
        "over 20-flannel",
    ),
    Case(b4_kube_proxy.CHECK, OK, proxy(), "default"),
    Case(b4_kube_proxy.CHECK, OK, proxy(mode="ipvs", found="ConfigMap", device=True), "ipvs"),
    Case(b4_kube_proxy.CHECK, OK, proxy(device=True), "kube-ipvs0"),
    Case(
        b4_kube_proxy.CHECK, WARNING, proxy(mode="iptables", found="it", device=True), "--cleanup"
    ),
    Case(b4_kube_proxy.CHECK, WARNING, proxy(mode="userspace", found="it"), "not known"),
    Case(b4_kube_proxy.CHECK, WARNING, proxy(BPF, found="it"), "switch kube-proxy off"),
    Case(b5_masquerade.CHECK, OK, masquerade(found="ConfigMap kube-proxy"), "keeps"),
    Case(b5_masquerade.CHECK, OK, lambda: b5_masquerade.judge_rules(OF_ITSELF)),
    Case(b5_masquerade.CHECK, MISSING, masquerade(masquerade_all=True, found="it"), "it"),
    Case(b5_masquerade.CHECK, MISSING, lambda: b5_masquerade.judge_rules(OF_ITSELF + MASQUERADED)),
    Case(b5_masquerade.CHECK, MISSING, lambda: b5_masquerade.judge_rules(OF_ITSELF + BY_IPVS)),
    unlisted(b6_ranges.CHECK, "no pools are known"),
    Case(b6_ranges.CHECK, OK, ranges("192.0.2.0/24")),
    Case(b6_ranges.CHECK, MISSING, ranges("10.0.3.0/24"), "route by eth0 (10.0.3.0/24)"),
    Case(b6_ranges.CHECK, MISSING, ranges("10.0.0.0/8"), "pool a (10.0.0.0/16) overlaps"),
    Case(b6_ranges.CHECK, MISSING, ranges(pool="10.96.7.0/24"), "overlaps the service range"),
    Case(
        b6_ranges.CHECK, WARNING, lambda: b6_ranges.judge_ranges(NETS, [], []), "range is not known"
    ),
    Case(b7_istio.CHECK, OK, lambda: b7_istio.judge(machine()), "not installed"),
    Case(b7_istio.CHECK, OK, lambda: b7_istio.judge_versions("1.22.3", "v1.30.2")),
    Case(b7_istio.CHECK, WARNING, lambda: b7_istio.judge_versions("1.17.2", "v1.30.2"), "1.23 to"),
    Case(
        b7_istio.CHECK, WARNING, lambda: b7_istio.judge_versions("1.99.0", "v1.30.2"), "not known"
    ),
    Case(b7_istio.CHECK, WARNING, lambda: b7_istio.judge_versions("latest", "v1.30"), "released"),
    Case(b10_cloud.CHECK, OK, lambda: b10_cloud.judge(machine()), "none"),
    Case(b10_cloud.CHECK, OK, lambda: b10_cloud.judge_cloud(Cloud.AZURE, Modes()), "Azure"),
    Case(
        b10_cloud.CHECK,
        MISSING,
        lambda: b10_cloud.judge_cloud(Cloud.AZURE, Modes(encaps=frozenset({Encap.IPIP}))),
        "Azure drops IP-in-IP",
    ),
    *[
        Case(
            b10_cloud.CHECK,
            WARNING,
            lambda cloud=cloud: b10_cloud.judge_cloud(  # type: ignore[misc]
                cloud, Modes(encaps=frozenset({Encap.BGP}))
            ),
            words,
        )
        for cloud, words in (
            (Cloud.AZURE, "--encap vxlan"),
            (Cloud.AMAZON, "source/destination check"),
            (Cloud.GOOGLE, "canIpForward"),
        )
    ],
    Case(
        o2_migration.CHECK,
        OK,
        lambda: o2_migration.judge_texts(["[compute]\nlive_migration_wait_for_vif_plug = False\n"]),
    ),
    Case(
        o2_migration.CHECK,
        OK,
        lambda: o2_migration.judge_texts(
            [
                "[compute]\nlive_migration_wait_for_vif_plug = true\n",
                "[compute]\nlive_migration_wait_for_vif_plug=0",
            ]
        ),
    ),
    Case(o2_migration.CHECK, MISSING, lambda: o2_migration.judge_texts(["[compute]\n"]), "true"),
    Case(o2_migration.CHECK, WARNING, lambda: o2_migration.judge_texts([]), "no /etc/nova"),
    Case(o2_migration.CHECK, WARNING, lambda: o2_migration.judge_texts(["x = 1"]), "can't be read"),
    Case(l1_iptables.CHECK, OK, after(l1_iptables.CHECK, IPTABLES), "legacy and iptables-nft"),
    Case(l1_iptables.CHECK, WARNING, after(l1_iptables.CHECK, IPTABLES, u32=ABSENT), "u32"),
    Case(
        l1_iptables.CHECK,
        MISSING,
        after(l1_iptables.CHECK, IPTABLES, match_rpfilter=ABSENT),
        "rpfilter can't be made",
    ),
    Case(l1_iptables.CHECK, WARNING, after(l1_iptables.CHECK, IPTABLES, DROP=CLOSED), "CAP_NET"),
    Case(l1_nftables.CHECK, OK, after(l1_nftables.CHECK)),
    Case(l1_nftables.CHECK, MISSING, after(l1_nftables.CHECK, fib=ABSENT), "fib can't be made"),
    Case(l1_nftables.CHECK, WARNING, after(l1_nftables.CHECK, fib=CLOSED), "CAP_NET_ADMIN"),
    Case(l2_sets.CHECK, OK, after(l2_sets.CHECK)),
    Case(l2_sets.CHECK, MISSING, after(l2_sets.CHECK, net=ABSENT), "ip_set_hash_net"),
    Case(l3_conntrack.CHECK, OK, after(l3_conntrack.CHECK)),
    Case(l3_conntrack.CHECK, MISSING, after(l3_conntrack.CHECK, conntrack=ABSENT)),
    Case(l3_conntrack.CHECK, WARNING, after(l3_conntrack.CHECK, sctp=ABSENT), "SCTP"),
    Case(l4_ipvs.CHECK, OK, after(l4_ipvs.CHECK, Modes(ipvs=True))),
    Case(l4_ipvs.CHECK, OK, after(l4_ipvs.CHECK, Modes(ipvs=True), match_ipvs=ABSENT)),
    Case(l4_ipvs.CHECK, MISSING, after(l4_ipvs.CHECK, IPTABLES, match_ipvs=ABSENT), "xt_ipvs"),
    Case(l5_devices.VETH, OK, after(l5_devices.VETH)),
    Case(l5_devices.VETH, MISSING, after(l5_devices.VETH, veth=ABSENT)),
    Case(l5_devices.IPIP, OK, after(l5_devices.IPIP)),
    Case(l5_devices.IPIP, MISSING, after(l5_devices.IPIP, ipip=ABSENT), "modprobe ipip"),
    Case(l5_devices.VXLAN, OK, after(l5_devices.VXLAN)),
    Case(l5_devices.VXLAN, MISSING, after(l5_devices.VXLAN, vxlan=ABSENT), "modprobe vxlan"),
    Case(l5_devices.WIREGUARD, OK, after(l5_devices.WIREGUARD), "in the kernel"),
    Case(l5_devices.WIREGUARD, MISSING, after(l5_devices.WIREGUARD, wireguard=ABSENT), "-go"),
    Case(l6_bpf.CHECK, MISSING, after(l6_bpf.CHECK, BPF, BTF=ABSENT), "BTF can't be made"),
    Case(l6_bpf.CHECK, WARNING, after(l6_bpf.CHECK, BPF), "not mounted"),
    Case(l6_bpf.CHECK, OK, lambda: l6_bpf.judge_mounts("all", l6_bpf.MOUNTED)),
    Case(
        s1_forwarding.CHECK,
        OK,
        lambda: s1_forwarding.judge_settings({"IPv4": "1", "IPv6": "0"}, []),
        "IPv4 on, IPv6 off",
    ),
    Case(
        s1_forwarding.CHECK,
        OK,
        lambda: s1_forwarding.judge_settings({"IPv4": "0", "IPv6": ""}, []),
        "the agent switches it on",
    ),
    Case(
        s1_forwarding.CHECK,
        WARNING,
        lambda: s1_forwarding.judge_settings(
            {"IPv4": "1", "IPv6": "1"}, [("/etc/sysctl.d/9.conf", "net.ipv4.ip_forward=0\n")]
        ),
        "/etc/sysctl.d/9.conf",
    ),
    Case(s2_rpfilter.CHECK, OK, lambda: s2_rpfilter.judge_value("1"), "strict"),
    Case(s2_rpfilter.CHECK, OK, lambda: s2_rpfilter.judge_value("0"), "off"),
    Case(s2_rpfilter.CHECK, WARNING, lambda: s2_rpfilter.judge_value("2"), "loose"),
    Case(s3_mtu.CHECK, Verdict.UNNEEDED, lambda: s3_mtu.judge(machine()), "--peer"),
    Case(s3_mtu.CHECK, OK, lambda: s3_mtu.judge_path(PeerReport("b", {}, {}, 1500, 1500)), "1500"),
    Case(s3_mtu.CHECK, WARNING, lambda: s3_mtu.judge_path(PeerReport("b", {}, {}, 1437, 1500))),
    Case(s3_mtu.CHECK, WARNING, lambda: s3_mtu.judge_path(PeerReport("b")), "no packet"),
    Case(s4_clock.CHECK, OK, lambda: s4_clock.judge(machine())),
    Case(s4_clock.CHECK, OK, lambda: s4_clock.judge_difference(-4.0)),
    Case(s4_clock.CHECK, WARNING, lambda: s4_clock.judge_difference(61.0), "61 s ahead"),
    Case(s4_clock.CHECK, WARNING, lambda: s4_clock.judge_difference(-61.0), "61 s behind"),
]
