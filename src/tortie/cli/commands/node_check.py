"""Check whether this machine has what a node needs: every row of docs/requirements.md.

    tortie node check
    tortie node check --for hosts --dataplane iptables -o json
    tortie node check --encap ipip,bgp --peer 10.0.0.2 --key-file key
    tortie node check --listen --key-file key

Each thing is tried, in a network namespace that ends with the check: nothing is left behind.
Without root it says what it could not try. Without --encap, by the datastore's pools. Status 0: all
is well; 1: something that these modes need is missing; 3: there are only warnings.
"""

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tortie.cli import configuration
from tortie.cli.commands.node_check_peer import add_options, ask, listen
from tortie.cli.errors import UserError
from tortie.cli.terminal import paint, warn

if TYPE_CHECKING:
    from tortie.requirements.cluster.facts import Cluster
    from tortie.requirements.cluster.reading import Right
    from tortie.requirements.machine import Machine
    from tortie.requirements.modes import Modes

_WIDEST = 120
_BEFORE = 5  # columns before the verdict


def arguments(parser: argparse.ArgumentParser) -> None:
    """For which modes, with which peer."""
    parser.add_argument(
        "--for", dest="purpose", choices=("kubernetes", "openstack", "hosts"), default="kubernetes"
    )
    parser.add_argument("--dataplane", choices=("nftables", "iptables", "bpf"), default="nftables")
    parser.add_argument(
        "--encap", metavar="WAY,...", help="none, ipip, vxlan, wireguard, bgp, flannel"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--all", action="store_true", help="show rows that are not needed, too")
    parser.add_argument(
        "--fix", action="store_true", help="write NetworkManager's configuration where it lacks"
    )
    parser.add_argument(
        "--root", metavar="DIR", default="/", help="where the machine's files are (default: /)"
    )
    add_options(parser.add_argument_group("between nodes"))
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Check, or listen."""
    if options.listen:
        return listen(options)
    from tortie.requirements.machine import Machine
    from tortie.requirements.report import data, lines
    from tortie.requirements.running import check_machine, trials_of
    from tortie.requirements.sandbox import Trial

    root = Path(options.root)
    if not root.is_dir():
        raise UserError(f"--root {root}: there is no such folder")
    cluster = _ask(options)
    modes = _completed(_wanted(options), cluster, options)
    trial = Trial(trials_of(modes))  # it goes on beside the peer's tests
    peer = ask(options)
    if options.fix:
        _fix(Machine(modes, root))
    report = check_machine(modes, root, cluster, peer, trial)
    if options.output == "json":
        print(json.dumps(data(report, modes), indent=2))
    else:
        for line in lines(report, modes, _width(), options.all):
            print(_painted(line))
    return report.status


def _wanted(options: argparse.Namespace) -> "Modes":
    from tortie.requirements.modes import Dataplane, Encap, Modes, Purpose, parse_encaps

    try:
        given = parse_encaps(options.encap) if options.encap else None
    except ValueError as error:
        raise UserError(f"--encap: {error}") from None
    return Modes(
        Purpose(options.purpose),
        Dataplane(options.dataplane),
        given or frozenset({Encap.VXLAN}),
        assumed=given is None,
    )


def _ask(options: argparse.Namespace) -> "Cluster | None":
    """What the cluster says; None where there is none to be asked."""
    from tortie.datastore.settings import (
        CRD_V1,
        DatastoreSettings,
        KubernetesSettings,
        MemorySettings,
    )

    settings: DatastoreSettings = configuration.chosen_datastore(options).settings
    kube: KubernetesSettings | None = None
    if isinstance(settings, KubernetesSettings):
        kube = settings
    elif os.environ.get("KUBECONFIG") and options.purpose == "kubernetes":
        kube = KubernetesSettings(kubeconfig=os.environ["KUBECONFIG"])
    path = getattr(settings, "path", "")
    if path and not os.path.exists(path):  # looking makes none
        settings = MemorySettings()
    if kube is None and isinstance(settings, MemorySettings):
        return None
    import asyncio

    from tortie.requirements.cluster.asking import ask_cluster

    group = getattr(settings, "api_group", CRD_V1).partition("/")[0]
    return asyncio.run(ask_cluster(settings, kube, rights_of(group) if kube is settings else []))


def rights_of(group: str) -> "list[Right]":
    """What a node's account has to be allowed to do, one by one."""
    from tortie.install.rights import NODE
    from tortie.install.rights.roles import rule_in
    from tortie.requirements.cluster.reading import Right

    rules = [found for rule in NODE.rules if (found := rule_in(rule, group))]
    return [
        Right(verb, api_group, resource, name)
        for rule in rules
        for api_group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    ]


def _completed(modes: "Modes", cluster: "Cluster | None", options: argparse.Namespace) -> "Modes":
    """With what the datastore and the machine say."""
    from tortie.dataplane.policy.node import IPVS_DEVICE
    from tortie.requirements.machine import Machine
    from tortie.requirements.modes import encaps_of_pools

    if cluster is not None and modes.assumed:
        pools = [(pool.ipip, pool.vxlan) for pool in cluster.pools]
        if found := encaps_of_pools(pools, cluster.wireguard):
            modes = modes._replace(encaps=found, assumed=False)
    kind = type(configuration.chosen_datastore(options).settings).__name__
    proxy = cluster.kubernetes.proxy.mode if cluster and cluster.kubernetes else ""
    has_device = Machine(modes).has_link(IPVS_DEVICE)
    return modes._replace(
        datastore=kind.removesuffix("Settings").lower(), ipvs=proxy == "ipvs" or has_device
    )


def _fix(machine: "Machine") -> None:
    from tortie.requirements.fixing import fix_networkmanager

    path = fix_networkmanager(machine)
    if path is not None:
        warn(f"wrote {path}; `systemctl reload NetworkManager` reads it")


def _width() -> int:
    from tortie.cli.dispatch import columns

    return min(columns(), _WIDEST)


def _painted(line: str) -> str:
    """A verdict in its colour, where it is one that begins a row."""
    from tortie.requirements.report import STYLES

    head, rest = line[:_BEFORE], line[_BEFORE:]
    word = rest.split(" ", 1)[0]
    for verdict, style in STYLES.items():
        if word == verdict.value and head.strip():
            return f"{head}{paint(word, style)}{rest[len(word) :]}"
    return line
