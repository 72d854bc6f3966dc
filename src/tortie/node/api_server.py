"""Which API server is this node's cluster's, if any: one rule, and cheap where there is none.

What asks it loads httpx, a tenth of an agent's start: only where there is a server to ask.
"""

import os
from typing import TYPE_CHECKING

from tortie.datastore import DatastoreError
from tortie.datastore.settings import DatastoreSettings, KubernetesSettings

if TYPE_CHECKING:
    from tortie.node.machine import Kubernetes


def kubernetes_of(settings: DatastoreSettings) -> "Kubernetes | None":
    """The API server that is the datastore, else that of the pod that we run in; None outside.

    Raises DatastoreError for credentials that can never work.
    """
    if isinstance(settings, KubernetesSettings):
        return _at(settings)
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        try:
            return _at(KubernetesSettings())
        except DatastoreError:  # in a pod without an account: nobody meant us to ask
            return None
    return None


def _at(settings: KubernetesSettings) -> "Kubernetes":
    from tortie.datastore.kubernetes.locating import find_access
    from tortie.node.machine import Kubernetes

    return Kubernetes(find_access(settings))
