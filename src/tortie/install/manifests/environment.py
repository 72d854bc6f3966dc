"""What containers are told of the datastore and of the fan-out's servers."""

from tortie.api.crds import GROUPS
from tortie.install.manifests.choices import Choices, Kept
from tortie.install.manifests.config import ETCD_FOLDER, ETCD_KEYS, ETCD_SECRET, config_name
from tortie.install.manifests.objects import Object, mount, value_of, values

NODE_CERTIFICATES = "calico-node-certs"
SERVER_CERTIFICATES = "calico-typha-certs"
AUTHORITY = "calico-typha-ca"
AUTHORITY_FILE = "typhaca.crt"
TLS_FOLDER = "/calico-typha-tls"
CLIENT_NAME, SERVER_NAME = "calico-node", "calico-typha"
"""The common names by which agents and the fan-out's servers know each other."""
MODE = 0o440


def datastore(made: Choices) -> list[Object]:
    """Where resources are kept, by the variables that every part of ours reads."""
    if made.kept is Kept.KUBERNETES:
        api = f"{made.group}/{GROUPS[made.group]}"
        return values({"DATASTORE_TYPE": "kubernetes", "CALICO_API_GROUP": api})
    from_map = {"ETCD_ENDPOINTS": "etcd_endpoints"}
    if made.etcd_tls:
        from_map |= {"ETCD_CA_CERT_FILE": "etcd_ca"}
        from_map |= {"ETCD_CERT_FILE": "etcd_cert", "ETCD_KEY_FILE": "etcd_key"}
    name = config_name(made)
    found = [value_of(variable, name, key) for variable, key in from_map.items()]
    return [*values({"DATASTORE_TYPE": "etcdv3"}), *found]


def datastore_mounts(made: Choices) -> list[Object]:
    """The files that `datastore` speaks of."""
    return [mount("etcd-certs", ETCD_FOLDER, readOnly=True)] if made.etcd_tls else []


def datastore_volumes(made: Choices) -> list[Object]:
    """And where they come from."""
    if not made.etcd_tls:
        return []
    items = [{"key": key, "path": key} for key in ETCD_KEYS.values()]
    secret = {"secretName": ETCD_SECRET, "defaultMode": MODE, "items": items}
    return [{"name": "etcd-certs", "secret": secret}]


def follower(made: Choices) -> list[Object]:
    """How an agent finds the fan-out's servers, and what both sides show each other."""
    if not made.typha:
        return []
    found = {
        "FELIX_TYPHACAFILE": f"{TLS_FOLDER}/{AUTHORITY_FILE}",
        "FELIX_TYPHACERTFILE": f"{TLS_FOLDER}/tls.crt",
        "FELIX_TYPHAKEYFILE": f"{TLS_FOLDER}/tls.key",
        "FELIX_TYPHACN": SERVER_NAME,
    }
    service = value_of("FELIX_TYPHAK8SSERVICENAME", config_name(made), "typha_service_name")
    return [service, *values(found)]


def tls_mounts(made: Choices) -> list[Object]:
    """The certificates, in whichever part has some."""
    return [mount("typha-tls", TLS_FOLDER, readOnly=True)] if made.typha else []


def tls_volumes(made: Choices, secret: str) -> list[Object]:
    """One folder of the authority's certificate and a part's own pair."""
    if not made.typha:
        return []
    authority = {"name": AUTHORITY, "items": [{"key": AUTHORITY_FILE, "path": AUTHORITY_FILE}]}
    pair = [{"key": key, "path": key} for key in ("tls.crt", "tls.key")]
    sources = [{"configMap": authority}, {"secret": {"name": secret, "items": pair}}]
    return [{"name": "typha-tls", "projected": {"defaultMode": MODE, "sources": sources}}]
