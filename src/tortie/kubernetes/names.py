"""Calico's names for what stands for Kubernetes objects: labels, annotations, interfaces."""

from hashlib import sha1

ORCHESTRATOR = "k8s"
ENDPOINT = "eth0"
INTERFACE_PREFIX = "cali"
_LONGEST_INTERFACE = 15  # bytes, of the kernel
NAMESPACE_LABEL = "projectcalico.org/namespace"
ORCHESTRATOR_LABEL = "projectcalico.org/orchestrator"
SERVICE_ACCOUNT_LABEL = "projectcalico.org/serviceaccount"
NAME_LABEL = "projectcalico.org/name"
NETWORK_LABEL = "projectcalico.org/network"  # the plugin's: which network an interface is of
NAMESPACE_PREFIX = "pcns."  # a namespace's labels, on its endpoints
SERVICE_ACCOUNT_PREFIX = "pcsa."  # a service account's labels, on its endpoints
NAMESPACE_PROFILE = "kns."
SERVICE_ACCOUNT_PROFILE = "ksa."

POD_IP = "cni.projectcalico.org/podIP"
POD_IPS = "cni.projectcalico.org/podIPs"
CONTAINER_ID = "cni.projectcalico.org/containerID"
NETWORK = "cni.projectcalico.org/network"  # of which network the first interface is; not Calico's
FLOATING_IPS = "cni.projectcalico.org/floatingIPs"
ALLOWED_SOURCE_PREFIXES = "cni.projectcalico.org/allowedSourcePrefixes"
AWS_POD_IPS = "vpc.amazonaws.com/pod-ips"
NETWORK_STATUS = "k8s.v1.cni.cncf.io/network-status"
POD_UID = "cni.projectcalico.org/podUID"  # of a stored endpoint: which Pod of that name it is
CONFIG_MIRROR = "kubernetes.io/config.mirror"  # of what a kubelet shows of a static pod
FURTHER_INTERFACES = "cni.projectcalico.org/FurtherInterfaces"  # a condition, no annotation


def interface_name(
    namespace: str, pod: str, prefix: str = INTERFACE_PREFIX, endpoint: str = ENDPOINT
) -> str:
    """The host's end of a pod's interface: the prefix and hex digits, at most 11, 15 bytes in all.

    A prefix above four bytes leaves room for fewer digits. `endpoint` is the container's end.
    """
    which = "" if endpoint in ("", ENDPOINT) else f"/{endpoint}"  # in no pod's name is a slash
    digest = sha1(f"{namespace}.{pod}{which}".encode(), usedforsecurity=False).hexdigest()
    return (prefix + digest[:11])[:_LONGEST_INTERFACE]


def wep_name(node: str, orchestrator: str, workload: str, endpoint: str) -> str:
    """The name of a WorkloadEndpoint: its parts joined with "-", a "-" inside them doubled."""
    doubled = [part.replace("-", "--") for part in (node, orchestrator, workload, endpoint)]
    return "-".join(doubled)


def namespace_profile(namespace: str) -> str:
    """The name of the Profile that stands for a namespace."""
    return NAMESPACE_PROFILE + namespace


def service_account_profile(namespace: str, name: str) -> str:
    """The name of the Profile that stands for a service account."""
    return f"{SERVICE_ACCOUNT_PROFILE}{namespace}.{name}"


def converted_uid(uid: str) -> str:
    """Another UID, the same for the same UID: its bits in reverse, version and variant kept.

    An object and what stands for it must not share one. What is no UUID is returned as it is.
    """
    digits = uid.replace("-", "")
    if len(digits) != 32 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        return uid
    bits = f"{int(digits, 16):0128b}"
    version, variant = bits[48:52], bits[64:66]  # RFC 9562
    free = (bits[:48] + bits[52:64] + bits[66:])[::-1]
    text = f"{int(free[:48] + version + free[48:60] + variant + free[60:], 2):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def further_uid(uid: str, endpoint: str) -> str:
    """The UID of a Pod's further endpoint: its first has the Pod's, and no two may share one."""
    import uuid  # here: nearly no pod has any

    try:
        return str(uuid.uuid5(uuid.UUID(uid), endpoint))
    except ValueError:
        return uid
