"""What the command line and the environment say of one process of the controllers."""

import os
import secrets
import socket
from collections.abc import Mapping

from msgspec import Struct

from tortie.controllers.controller import Sides
from tortie.controllers.leadership import SECONDS
from tortie.datastore.settings import (
    DatastoreSettings,
    EtcdSettings,
    KubernetesSettings,
    SqliteSettings,
)


def new_holder() -> str:
    """What others call this process: its machine, its number, and what no other process has."""
    return f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"


class Given(Struct, frozen=True, kw_only=True):
    """`kubernetes`: beside another datastore. Not `elected`: somebody said that it is alone."""

    datastore: DatastoreSettings
    kubernetes: KubernetesSettings | None = None
    environ: Mapping[str, str] = {}
    host: str = "127.0.0.1"
    health_port: int = 9440
    elected: bool = True
    lease_seconds: int = SECONDS
    lease_namespace: str = ""

    @property
    def sides(self) -> Sides:
        """Of what kind the stores are."""
        backend = "memory"
        match self.datastore:
            case KubernetesSettings():
                backend = "kubernetes"
            case EtcdSettings():
                backend = "etcd"
            case SqliteSettings():
                backend = "sqlite"
        return Sides(backend, backend == "kubernetes" or self.kubernetes is not None)
