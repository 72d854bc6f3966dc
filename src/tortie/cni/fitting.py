"""Whether a network configuration fits this node's agent, before anything is done for it.

What asks for something that is not there is an error: a container must not start without what its
network promises. What is only said twice, and differently, is a remark.
"""

import asyncio
import os
import stat

from tortie.cni.config import NetworkConfig
from tortie.cni.errors import INVALID_CONFIG, TRY_AGAIN, CniError

_DATASTORES = {"kubernetes": "kubernetes", "etcdv3": "etcd"}  # `datastore_type` → our settings


async def check_fits(config: NetworkConfig, node: str) -> None:
    """Raises CniError where this agent can't do what the configuration asks for."""
    named = await asyncio.to_thread(_from_file, config) if config.nodename_file else ""
    if config.device_type not in ("", "veth"):
        raise _wrong("device_type", config.device_type, "interfaces are made as veth pairs only")
    kind = config.dataplane_options.get("type", "")
    if kind not in ("", "linux"):
        raise _wrong("dataplane_options.type", str(kind), "only this node's own agent can be asked")
    for key, name in (
        ("nodename", config.nodename),
        ("kubernetes.node_name", config.kubernetes.node_name),
        ("nodename_file", named),
    ):
        if name not in ("", node):
            raise _wrong(key, name, f"this node's agent runs as {node}: let both say the same")


def remarks(config: NetworkConfig, datastore: str) -> list[str]:
    """What the configuration says that is not so, and changes nothing.

    `datastore` is the agent's, as its settings begin: "kubernetes:...", "sqlite:...".
    """
    wanted = _DATASTORES.get(config.datastore_type)
    own = datastore.partition(":")[0]
    if wanted is None or wanted == own:
        return []
    return [
        f"datastore_type is {config.datastore_type!r}: the agent's datastore is {own}, and is used"
    ]


def _from_file(config: NetworkConfig) -> str:
    """The name in `nodename_file`; none where no such file is needed."""
    try:
        with open(config.nodename_file, errors="replace", opener=_without_waiting) as found:
            if not stat.S_ISREG(os.fstat(found.fileno()).st_mode):
                raise _wrong("nodename_file", config.nodename_file, "that is no file")
            return found.read(4096).strip()
    except FileNotFoundError:
        if config.nodename_file_optional:
            return ""
        raise CniError(
            TRY_AGAIN,
            f"nodename_file: there is no {config.nodename_file}: has the node been set up? "
            "(nodename_file_optional goes on without it)",
        ) from None
    except OSError as problem:
        raise _wrong("nodename_file", config.nodename_file, problem.strerror or "?") from None


def _without_waiting(path: str, flags: int) -> int:
    """A pipe would be waited at for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


def _wrong(key: str, found: str, reason: str) -> CniError:
    return CniError(INVALID_CONFIG, f"{key} is {found!r}: {reason}")
