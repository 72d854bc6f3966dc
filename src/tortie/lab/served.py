"""A lab on a datastore of others: etcd or the Kubernetes API, outside of the lab's network.

What names it is kept in the lab's directory, as a CalicoAPIConfig that only root can read, and goes
to the agents as variables. Their way to it is `tortie.lab.relay`: a connection to the server's
address inside of a node's namespace comes out on the machine.
"""

import json
import os
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tortie.datastore.configuration import Fields, from_file, settings_of
from tortie.datastore.configuration.fields import BY_FIELD
from tortie.datastore.settings import (
    DatastoreSettings,
    EtcdSettings,
    KubernetesSettings,
    name_of,
)
from tortie.lab.errors import LabError
from tortie.lab.fabric import network_of
from tortie.lab.journal import Journal
from tortie.lab.plan import Plan
from tortie.lab.processes import is_alive, spawn
from tortie.linux.namespaces import path_of
from tortie.net import parse_prefix

_ROLE = "relay"
_PORTS = {"http": 80, "https": 443}


class Server(NamedTuple):
    """Where a server listens: an address, since nodes of a lab have nobody to ask for names."""

    address: str
    port: int


def keep(journal: Journal, fields: Fields) -> None:
    """Write down which datastore the lab is on. Raises LabError for one that it can't be on."""
    servers_of(settings_of(fields))
    spec = {name: _absolute(name, given.text) for name, given in fields.given.items()}
    for name in spec:
        if not BY_FIELD[name].variable:
            raise LabError(
                f"{fields.name(name)}: a lab's agents can't be told: name a file instead"
            )
    config = {"apiVersion": "projectcalico.org/v3", "kind": "CalicoAPIConfig", "spec": spec}
    text = json.dumps(config, indent=1, sort_keys=True)
    path = journal.datastore_file
    if journal.store_path.exists() or (path.exists() and path.read_text() != text):
        raise LabError(
            f"lab {journal.name!r} is up on another datastore, {name_of_store(journal)}: take it"
            " down first, or choose another --name"
        )
    staging = path.with_suffix(".new")
    with open(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    staging.rename(path)


def store_of(journal: Journal) -> Path | DatastoreSettings:
    """The lab's datastore, to be opened. Raises ConfigurationError where it can't be any more."""
    fields = _fields(journal)
    return settings_of(fields) if fields else journal.store_path


def name_of_store(journal: Journal) -> str:
    """What to call it to a person."""
    found = store_of(journal)
    return str(found) if isinstance(found, Path) else name_of(found)


def agents_datastore(journal: Journal) -> Mapping[str, str]:
    """The variables that name it to an agent."""
    fields = _fields(journal)
    if fields is None:
        return {"TORTIE_DATASTORE": f"sqlite:{journal.store_path}"}
    return {BY_FIELD[name].variable: given.text for name, given in fields.given.items()}


def ensure_relay(plan: Plan, journal: Journal, environment: Mapping[str, str]) -> None:
    """The nodes' way to the server, where there is one and it does not run."""
    if _fields(journal) is None or is_alive(journal.process(_ROLE)):
        return
    servers = servers_of(store_of(journal))
    for node in plan.nodes:
        with network_of(node.namespace) as own:
            for server in servers:
                if not ip_address(server.address).is_loopback:
                    own.links.add_address("lo", parse_prefix(server.address))
    words = [f"{server.address}/{server.port}" for server in servers]
    namespaces = [str(path_of(node.namespace)) for node in plan.nodes]
    command = [sys.executable, "-m", "tortie.lab.relay", ",".join(words), *namespaces]
    spawn(journal, _ROLE, None, command, environment)


def servers_of(settings: Path | DatastoreSettings) -> list[Server]:
    """The servers of a datastore. Raises LabError where a lab's agents can't reach them."""
    match settings:
        case EtcdSettings(endpoints=endpoints):
            return [_server(endpoint) for endpoint in endpoints]
        case KubernetesSettings():
            from tortie.datastore.kubernetes.locating import find_access

            return [_server(find_access(settings).server)]
    raise LabError("a lab has an embedded datastore of its own, or is on etcd or kubernetes")


def _server(url: str) -> Server:
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        raise LabError(
            f"{url}: nodes of a lab can't look up names: write the server's address"
        ) from None
    return Server(host, parts.port or _PORTS[parts.scheme])


def _fields(journal: Journal) -> Fields | None:
    return from_file(journal.datastore_file) if journal.datastore_file.exists() else None


def _absolute(name: str, text: str) -> str:
    """Paths as they are meant here: agents start elsewhere."""
    if name == "kubeconfig":
        return os.pathsep.join(map(os.path.abspath, text.split(os.pathsep)))
    return os.path.abspath(text) if name.endswith("File") else text
