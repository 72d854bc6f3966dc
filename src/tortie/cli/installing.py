"""What the commands of `tortie install` share: the choices, and the cluster that they are for."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tortie.cli.errors import UserError

if TYPE_CHECKING:  # the command line starts without them
    from tortie.datastore.settings import KubernetesSettings
    from tortie.install.manifests.choices import Choices, EtcdFiles

_ENCAPS = ("ipip", "vxlan", "wireguard", "bgp", "none")


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Every choice of an installation."""
    _kept(parser.add_argument_group("where resources are kept"))
    _network(parser.add_argument_group("the network between nodes"))
    group = parser.add_argument_group("what runs")
    group.add_argument("--image", metavar="NAME:TAG", help="default: the image of `make image`")
    group.add_argument(
        "--dataplane",
        choices=("nftables", "iptables", "bpf"),
        default="nftables",
        help="what enforces policy (default: nftables)",
    )
    group.add_argument(
        "--typha",
        metavar="N",
        type=int,
        default=0,
        help="servers of the fan-out: from 50 nodes on, one for 200 nodes, three at least",
    )
    group.add_argument(
        "--cni-bin-dir", metavar="DIR", default="/opt/cni/bin", help="on the nodes (%(default)s)"
    )
    group.add_argument(
        "--cni-conf-dir", metavar="DIR", default="/etc/cni/net.d", help="%(default)s"
    )


def _kept(group: argparse._ActionsContainer) -> None:
    group.add_argument("--datastore", choices=("kubernetes", "etcd"), default="kubernetes")
    group.add_argument(
        "--api-group",
        choices=("crd.projectcalico.org", "projectcalico.org"),
        metavar="GROUP",
        default="crd.projectcalico.org",
        help="of Calico's kinds in Kubernetes (default: %(default)s)",
    )
    group.add_argument("--etcd-endpoints", metavar="URL,...", default="")
    group.add_argument("--etcd-ca", metavar="FILE", help="who signs etcd's certificate")
    group.add_argument("--etcd-cert", metavar="FILE", help="our certificate there")
    group.add_argument("--etcd-key", metavar="FILE", help="and its key")


def _network(group: argparse._ActionsContainer) -> None:
    group.add_argument("--encap", choices=_ENCAPS, default="ipip", help="default: ipip")
    group.add_argument(
        "--mode", choices=("Always", "CrossSubnet"), default="Always", help="of ipip and vxlan"
    )
    group.add_argument("--pool", metavar="CIDR", help="of pods, IPv4 (default: one that is free)")
    group.add_argument("--pool6", metavar="CIDR", help="of pods, IPv6 (default: no IPv6)")
    group.add_argument("--mtu", metavar="BYTES", type=int, default=0, help="default: as found")
    way = group.add_mutually_exclusive_group()
    way.add_argument(
        "--policy-only", action="store_true", help="another plugin connects pods; policy is ours"
    )
    way.add_argument("--flannel", action="store_true", help="flannel connects nodes (Canal)")
    group.add_argument(
        "--cloud", choices=("aws", "azure", "gke"), help="whose plugin connects pods"
    )
    group.add_argument("--flannel-image", metavar="NAME:TAG", help="run flannel too, from there")


def choices_of(options: argparse.Namespace) -> "Choices":
    """The installation that was chosen. Raises UserError."""
    from tortie.install.manifests.choices import (
        IMAGE,
        ChoiceError,
        Choices,
        Dataplane,
        Encap,
        Kept,
        Networking,
        pool_of,
    )

    if options.dataplane == "bpf":
        raise UserError("there is no eBPF dataplane yet: choose nftables or iptables")
    other = Networking.POLICY_ONLY if options.policy_only else Networking.OWN
    try:
        return Choices(
            image=options.image or IMAGE,
            group=options.api_group,
            kept=Kept(options.datastore),
            etcd_endpoints=tuple(filter(None, options.etcd_endpoints.split(","))),
            etcd_files=_etcd_files(options),
            encap=Encap(options.encap),
            cross_subnet=options.mode == "CrossSubnet",
            dataplane=Dataplane(options.dataplane),
            networking=Networking.FLANNEL if options.flannel else other,
            cloud=options.cloud or "",
            flannel_image=options.flannel_image or "",
            typha=options.typha,
            ipv4_pool=pool_of(options.pool, 4) if options.pool else None,
            ipv6_pool=pool_of(options.pool6, 6) if options.pool6 else None,
            mtu=options.mtu,
            plugin_folder=options.cni_bin_dir,
            network_folder=options.cni_conf_dir,
        )
    except ChoiceError as problem:
        raise UserError(str(problem)) from None


def _etcd_files(options: argparse.Namespace) -> "EtcdFiles | None":
    """What is named. Raises UserError where it is half of it, or can't be used."""
    from tortie.datastore.configuration.pem import problem_with_authorities, problem_with_pair
    from tortie.install.manifests.choices import EtcdFiles

    names = (options.etcd_ca, options.etcd_cert, options.etcd_key)
    if not any(names):
        return None
    if not options.etcd_ca or bool(options.etcd_cert) != bool(options.etcd_key):
        raise UserError(
            "etcd's certificates: --etcd-ca, and both or none of --etcd-cert, --etcd-key"
        )
    authority, certificate, key = (Path(name).read_bytes() if name else b"" for name in names)
    if problem := problem_with_authorities(authority):
        raise UserError(f"--etcd-ca {options.etcd_ca}: {problem}")
    if certificate and (problem := problem_with_pair(certificate, key)):
        raise UserError(f"--etcd-cert {options.etcd_cert}: {problem}")
    return EtcdFiles(authority, certificate, key)


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Which cluster."""
    group = parser.add_argument_group("cluster")
    group.add_argument("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG, ~/.kube/config")
    group.add_argument("--context", metavar="NAME", help="of the kubeconfig")


def cluster_of(options: argparse.Namespace) -> "KubernetesSettings":
    """How to reach it: as kubectl does. Raises ConfigurationError, UserError."""
    from tortie.datastore.configuration import from_environment, from_location, settings_of
    from tortie.datastore.configuration.fields import Given
    from tortie.datastore.settings import KubernetesSettings

    location = f"kubernetes:{options.kubeconfig or ''}"
    fields = from_location(location, from_environment(os.environ), "--kubeconfig")
    if options.context:
        given = {**fields.given, "k8sCurrentContext": Given(options.context, "--context")}
        fields = fields._replace(given=given)
    settings = settings_of(fields)
    assert isinstance(settings, KubernetesSettings)
    return settings
