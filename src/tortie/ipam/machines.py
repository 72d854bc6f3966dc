"""Which virtual machine a pod runs, and under what handle IPAM holds the machine's addresses. Pure.

KubeVirt runs a machine in a pod (`virt-launcher-...`) that a VirtualMachineInstance owns; the
instance has its VirtualMachine's name. The pods come and go with restarts and moves, the machine
stays; so does its address, where `kubeVirtVMAddressPersistence` is Enabled. Names are Calico's.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from tortie.api import Pod

NETWORK = "k8s-pod-network"  # where a configuration of the plugin has no name of its own
GROUP = "kubevirt.io"
_INSTANCE = "VirtualMachineInstance"
_MOVING = "kubevirt.io/migrationJobUID"  # a label of the pod that a machine moves to
_MARK = ".vmi."
_LONGEST = 128


class Machine(NamedTuple):
    """A virtual machine's place in Kubernetes."""

    namespace: str
    name: str


def machine_of(pod: Pod) -> Machine | None:
    """The machine that a pod runs; None for any other pod."""
    owners = pod.metadata.owner_references
    for owner in owners if isinstance(owners, list | tuple) else ():
        if _is_instance(owner):
            return Machine(pod.metadata.namespace, str(owner["name"]))
    return None


def is_moved_to(pod: Pod) -> bool:
    """Whether a running machine is to move into this pod."""
    return bool(pod.metadata.labels.get(_MOVING))


def handle_of(network: str, machine: Machine) -> str:
    """`NETWORK.vmi.NAMESPACE.NAME`; what is too long ends in a digest."""
    prefix = f"{network or NETWORK}{_MARK}"
    suffix = f"{machine.namespace}.{machine.name}"
    if len(prefix) + len(suffix) <= _LONGEST:
        return prefix + suffix
    digest = hashlib.sha256(suffix.encode()).hexdigest()
    return f"{prefix}_{digest}"[:_LONGEST]


def is_machines(handle: str) -> bool:
    """Whether a handle is a virtual machine's."""
    return _MARK in handle.lower()


def is_there(handle: str, machines: Iterable[Machine]) -> bool:
    """Whether the machine of a handle is one of these."""
    network, _, _ = handle.lower().partition(_MARK)
    return any(handle_of(network, one).lower() == handle.lower() for one in machines)


def _is_instance(owner: Any) -> bool:
    if not isinstance(owner, dict) or owner.get("kind") != _INSTANCE or not owner.get("name"):
        return False
    return str(owner.get("apiVersion", "")).partition("/")[0] == GROUP
