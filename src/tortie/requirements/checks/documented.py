"""Rows that no machine can be asked for, each with the reason."""

from tortie.requirements.model import Documented

DOCUMENTED = (
    Documented(
        "N6",
        "host firewall",
        "What a host lets in is said by HostEndpoints and GlobalNetworkPolicies. It is a choice,"
        " not something that is there or not; row N5 tells of other firewalls.",
    ),
    Documented(
        "P7",
        "flannel's VXLAN",
        "The same packets as row P3's, UDP 4789: with `--encap flannel` row P3 speaks for them."
        " flannel's own default is UDP 8472, and its configuration says which.",
    ),
    Documented(
        "B8",
        "hosted install",
        "`tortie install apply`, or `kubectl apply -f` of one file of manifests/. The manifests are"
        " tried on a real API server by the tests; a node has nothing to be asked.",
    ),
    Documented(
        "B9",
        "custom install",
        "Each piece stands alone: `tortie agent`, `tortie cni install`, `tortie node start`,"
        " `tortie fanout`, `tortie controllers`; docs/ has a page for each. Which tool runs them"
        " makes no difference to a machine.",
    ),
    Documented(
        "O1",
        "Neutron driver",
        "It runs in Neutron's server, not on the nodes: a node needs what rows N and L say. The"
        " driver itself is not there yet (docs/moving-from-calico.md).",
    ),
    Documented(
        "O3",
        "old Nova",
        "Nova before Ocata with libvirt 1.3.1 or later can't plug ports of type `ethernet` without"
        " a patch of Nova: not supported. Those releases run on Python 2, and get no fixes of"
        " their own.",
    ),
)
