"""Where each object is kept: Calico's keys, to and from ours. Pure.

Resources are at `/calico/resources/v3/projectcalico.org/PLURAL/[NAMESPACE/]NAME`; what IPAM keeps
is at `/calico/ipam/v2/...`, which names a block by its CIDR, and a claim by node and CIDR.
"""

import re
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from ipaddress import IPv6Address
from typing import NamedTuple

from tortie.api import BlockAffinity, IPAMBlock, Key, Resource
from tortie.api.registry import KINDS
from tortie.datastore.contract import Invalid

RESOURCES = "/calico/resources/v3/projectcalico.org/"
IPAM = "/calico/ipam/v2/"
_BLOCKS, _HANDLES, _CONFIG = f"{IPAM}assignment/", f"{IPAM}handle/", f"{IPAM}config"
_CLAIMS = {"host": f"{IPAM}host/", "virtual": f"{IPAM}virtual/"}
_PLURALS = {  # where Calico's name differs from the registry's
    "Service": "kubernetesservice",
    "EndpointSlice": "kubernetesendpointslices",
}
IPAM_KINDS = frozenset({"IPAMBlock", "BlockAffinity", "IPAMHandle", "IPAMConfiguration"})
_RESOURCE_KINDS = {
    _PLURALS.get(kind.name, kind.plural): kind.name
    for kind in KINDS.values()
    if kind.name not in IPAM_KINDS
}
_IPV4_NAME = re.compile(r"(?:(.+)-)?(\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})-(\d{1,2})")
_HASHED_NODE = re.compile(r"[0-9a-f]{64}-")
_LONGEST = 253  # of a name in Kubernetes


class Span(NamedTuple):
    """The keys from `start` up to but not including `end`."""

    start: bytes
    end: bytes


class Claim(NamedTuple):
    """What the key of a block affinity says."""

    type: str
    node: str
    cidr: str


def prefix(text: str) -> Span:
    """All keys that begin with `text`, which must end in ASCII."""
    start = text.encode()
    return Span(start, start[:-1] + bytes([start[-1] + 1]))


WATCHED = Span(IPAM.encode(), prefix(RESOURCES).end)
"""One range with every object, from IPAM's first key to the resources' last.

Little else is in it: Calico's status reports, BGP and v1 keys sort before or after.
"""

MILESTONE = b"/calico/milestone"
"""In that range, and no object."""


@cache
def spans(kind: str, namespace: str | None = None) -> tuple[Span, ...]:
    """Where the objects of a kind are; those of one namespace where given."""
    if kind == "IPAMBlock":
        return (prefix(_BLOCKS),)
    if kind == "BlockAffinity":
        return tuple(prefix(text) for text in _CLAIMS.values())
    if kind == "IPAMHandle":
        return (prefix(_HANDLES),)
    if kind == "IPAMConfiguration":
        return (Span(_CONFIG.encode(), _CONFIG.encode() + b"\0"),)
    inside = "" if namespace is None else f"{_escaped(namespace)}/"
    return (prefix(f"{_folder(kind)}{inside}"),)


def path_of(resource: Resource) -> bytes:
    """Where a resource is kept. Raises Invalid for an IPAM object that is misnamed."""
    key = resource.key
    paths = paths_of(key)
    if isinstance(resource, BlockAffinity):
        spec = resource.spec
        paths = (_claim_path(Claim(spec.type or "host", spec.node, spec.cidr)),)
    elif isinstance(resource, IPAMBlock):
        paths = (_block_path(resource.spec.cidr),)
    found = key_of(paths[0]) if paths else None
    if found != key:
        wanted = found.name if found else "default"
        raise Invalid(f"{key} can't be stored in etcd under that name: name it {wanted!r}")
    return paths[0]


def paths_of(key: Key) -> tuple[bytes, ...]:
    """Where the object of `key` may be: one place, but for the names of block affinities.

    Those join a node and a block by "-", so that few names can be read in more than one way. One
    with a hashed node is in none of the places: see `needs_search`.
    """
    match key.kind:
        case "IPAMBlock":
            return tuple(_block_path(cidr) for node, cidr in _readings(key.name) if not node)
        case "BlockAffinity":
            readings = [(node, cidr) for node, cidr in _readings(key.name) if node]
            claims = [Claim(kind, *reading) for kind in _CLAIMS for reading in readings]
            return tuple(_claim_path(claim) for claim in claims)
        case "IPAMHandle":
            return (f"{_HANDLES}{_escaped(key.name)}".encode(),)
        case "IPAMConfiguration":
            return (_CONFIG.encode(),) if key.name == "default" else ()
    inside = f"{_escaped(key.namespace)}/" if key.namespace else ""
    return (f"{_folder(key.kind)}{inside}{_escaped(key.name)}".encode(),)


def needs_search(key: Key) -> bool:
    """Whether only a look at all keys of the kind finds the object: its name holds a hash."""
    return key.kind == "BlockAffinity" and bool(_HASHED_NODE.match(key.name))


def key_of(path: bytes) -> Key | None:
    """Whose place this is; None for what is no place of an object of ours.

    Whatever has a key is found under it: `path` is among `paths_of`, or a search comes upon it.
    """
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return None
    if text.startswith(RESOURCES):
        return _resource_key(text)
    key = _ipam_key(text)
    return key if key and (needs_search(key) or path in paths_of(key)) else None


def _ipam_key(text: str) -> Key | None:
    if text.startswith(_BLOCKS):
        return Key("IPAMBlock", "", _dashed(_cidr_of(text)))
    if text.startswith(_HANDLES):
        return Key("IPAMHandle", "", _unescaped(text[len(_HANDLES) :]))
    if text == _CONFIG:
        return Key("IPAMConfiguration", "", "default")
    claim = _claim(text)
    return Key("BlockAffinity", "", _claim_name(claim)) if claim else None


def claim_of(path: bytes) -> Claim | None:
    """What the key of a block affinity says; None for any other key."""
    return _claim(path.decode())


def _claim(text: str) -> Claim | None:
    for kind, folder in _CLAIMS.items():
        node, slash, _ = text[len(folder) :].partition("/")
        if text.startswith(folder) and slash:
            return Claim(kind, _unescaped(node), _cidr_of(text))
    return None


def _resource_key(text: str) -> Key | None:
    plural, _, rest = text[len(RESOURCES) :].partition("/")
    kind = _RESOURCE_KINDS.get(plural)
    namespace, _, name = rest.rpartition("/")
    if kind is None or not name or "/" in namespace:
        return None
    return Key(kind, _unescaped(namespace), _unescaped(name))


@cache
def _folder(kind: str) -> str:
    return f"{RESOURCES}{_PLURALS.get(kind, KINDS[kind].plural)}/"


def _block_path(cidr: str) -> bytes:
    return f"{_BLOCKS}{_family(cidr)}/block/{cidr.replace('/', '-')}".encode()


def _claim_path(claim: Claim) -> bytes:
    folder = _CLAIMS.get(claim.type, _CLAIMS["host"])
    where = f"{folder}{_escaped(claim.node)}/{_family(claim.cidr)}"
    return f"{where}/block/{claim.cidr.replace('/', '-')}".encode()


def _claim_name(claim: Claim) -> str:
    name = f"{claim.node}-{_dashed(claim.cidr)}"
    if len(name) <= _LONGEST:
        return name
    return f"{sha256(claim.node.encode()).hexdigest()}-{_dashed(claim.cidr)}"


def _family(cidr: str) -> str:
    return "ipv6" if ":" in cidr else "ipv4"


def _cidr_of(text: str) -> str:
    address, _, length = text.rpartition("/")[2].rpartition("-")
    return f"{address}/{length}"


def _dashed(cidr: str) -> str:
    return cidr.replace(".", "-").replace(":", "-").replace("/", "-")


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """Each (node, CIDR) that a name can mean; no node for a block's own name."""
    found = _IPV4_NAME.fullmatch(name)
    if found and int(found[3]) <= 32:
        yield found[1] or "", f"{found[2].replace('-', '.')}/{found[3]}"
        return
    rest, _, length = name.rpartition("-")
    for start in [0, *(place.end() for place in re.finditer("-", rest))]:
        address = rest[start:].replace("-", ":")
        if length.isdecimal() and _is_canonical(address):
            yield rest[: max(0, start - 1)], f"{address}/{length}"


def _is_canonical(address: str) -> bool:
    try:
        return str(IPv6Address(address)) == address
    except ValueError:
        return False


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2f")


def _unescaped(text: str) -> str:
    if "%" not in text:
        return text
    return text.replace("%2f", "/").replace("%25", "%")
