"""Clusters from YAML, for tests: what `tortie apply` would have stored."""

from textwrap import dedent

from tortie.api import Resource
from tortie.api.manifests import read_manifests
from tortie.bgp.build import Given, picture_of
from tortie.bgp.cluster import Cluster
from tortie.bgp.passwords import Kept, Passwords
from tortie.bgp.picture import Picture

ALPHA = """
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: alpha, labels: {rack: a, role: worker}}
spec: {bgp: {ipv4Address: 172.16.0.1/24, ipv6Address: "fd16::1/64"}}
"""
BETA = """
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: beta, labels: {rack: a, role: worker}}
spec: {bgp: {ipv4Address: 172.16.0.2/24, ipv6Address: "fd16::2/64"}}
"""
GAMMA = """
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: gamma, labels: {rack: b, role: reflector}}
spec: {bgp: {ipv4Address: 172.16.1.3/24, asNumber: 64600}}
"""
POOL = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.65.0.0/16, natOutgoing: true}
"""


def pool(name: str, cidr: str, more: str = "") -> str:
    """An IPPool, with more fields: `", ipipMode: Always"`."""
    return f"""---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: {name}}}
spec: {{cidr: "{cidr}"{more}}}
"""


POOLS = pool("four", "10.65.0.0/16") + pool("six", "fd65::/48")
QUIET = pool("quiet", "10.66.0.0/16", ", disableBGPExport: true")


def resources(*texts: str) -> list[Resource]:
    """The resources of YAML documents, which must be right."""
    found = []
    for text in texts:
        manifests = read_manifests("test", dedent(text))
        assert not manifests.errors, manifests.errors
        found += [each.resource for each in manifests.resources]
    return found


def cluster(*texts: str, node: str = "alpha") -> Cluster:
    """What `node` knows of a cluster."""
    known = Cluster(node)
    for resource in resources(*texts):
        known.put(resource.key, resource)
    return known


def picture(
    *texts: str,
    node: str = "alpha",
    passwords: Passwords | None = None,
    given: Given | None = None,
    kept: Kept | None = None,
) -> Picture:
    """The node's picture; there must be one."""
    found = picture_of(cluster(*texts, node=node), passwords or {}, given or Given(), kept)
    assert found is not None
    return found
