"""Run the cluster's controllers in the foreground: one process of all leads, others wait.

They see to what gone nodes and pods leave behind, labels and host endpoints of nodes, addresses of
load balancers, pools and tiers; and where the datastore is not Kubernetes, to what follows from
Kubernetes' policies, namespaces, accounts and pods. KubeControllersConfiguration "default" has
their settings; ENABLED_CONTROLLERS, LOG_LEVEL, RECONCILER_PERIOD, COMPACTION_PERIOD,
HEALTH_ENABLED, SYNC_NODE_LABELS and AUTO_HOST_ENDPOINTS go before it.
"""

import argparse
import asyncio
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from tortie.cli import configuration, foreground
from tortie.cli.numbers import within

if TYPE_CHECKING:
    from tortie.controllers.given import Given
    from tortie.datastore.settings import DatastoreSettings, KubernetesSettings

HEALTH_PORT = 9440


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which datastore, which Kubernetes, and where its pages are."""
    configuration.add_daemons_option(parser, "KUBE_CONTROLLERS_")
    parser.add_argument(
        "--kubernetes",
        metavar="KUBECONFIG",
        help="Kubernetes' API beside another datastore (else KUBECONFIG, K8S_API_ENDPOINT, the"
        ' pod\'s own account; "none": there is none)',
    )
    parser.add_argument(
        "--host", metavar="ADDRESS", default="127.0.0.1", help="of the pages (default: %(default)s)"
    )
    parser.add_argument(
        "--health-port",
        metavar="PORT",
        type=within(1, 65535),
        default=HEALTH_PORT,
        help="of /liveness and /readiness (default: %(default)s)",
    )
    group = parser.add_argument_group("election")
    group.add_argument(
        "--no-election",
        action="store_true",
        help="it is the only process of its kind: whoever says so sees to it",
    )
    group.add_argument(
        "--lease-seconds",
        metavar="SECONDS",
        type=within(2, 300),
        default=15,
        help="after the leader's last sign, until another leads (default: %(default)s)",
    )
    group.add_argument(
        "--lease-namespace",
        metavar="NAMESPACE",
        default=os.environ.get("POD_NAMESPACE", ""),
        help="of the Lease in Kubernetes (else POD_NAMESPACE, the pod's own, kube-system)",
    )


def run(options: argparse.Namespace) -> int:
    """Run until a signal. Returns the exit status; errors are for people."""
    return foreground.ended("controllers", partial(_run, options))


def _run(options: argparse.Namespace) -> None:
    from tortie.controllers.service import serve
    from tortie.daemon.log import configure_logs

    given = _given(options)
    configure_logs("INFO")
    asyncio.run(serve(given))


def _given(options: argparse.Namespace) -> "Given":
    from tortie.controllers.given import Given
    from tortie.controllers.settings import VARIABLES

    chosen = configuration.daemons_datastore(options.datastore, os.environ, "KUBE_CONTROLLERS_")
    return Given(
        datastore=chosen.settings,
        kubernetes=_kubernetes(options.kubernetes, chosen.settings, os.environ),
        environ={name: os.environ[name] for name in VARIABLES if name in os.environ},
        host=options.host,
        health_port=options.health_port,
        elected=not options.no_election,
        lease_seconds=options.lease_seconds,
        lease_namespace=options.lease_namespace,
    )


def _kubernetes(
    wanted: str | None, datastore: "DatastoreSettings", environ: Mapping[str, str]
) -> "KubernetesSettings | None":
    """Kubernetes' API beside a datastore that is another. Raises ConfigurationError."""
    from tortie.datastore.configuration import from_environment, from_location, settings_of
    from tortie.datastore.settings import KubernetesSettings

    if wanted == "none" or isinstance(datastore, KubernetesSettings):
        return None
    names = ("KUBECONFIG", "K8S_API_ENDPOINT", "KUBERNETES_SERVICE_HOST")
    if not wanted and not any(environ.get(name) for name in names):
        return None
    others = from_environment(environ)
    fields = from_location(f"kubernetes:{wanted or ''}", others, "--kubernetes")
    found = settings_of(fields)
    assert isinstance(found, KubernetesSettings)
    return found
