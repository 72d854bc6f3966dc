"""A pod's life on its node: its namespace, its process, and the CNI plugin that connects it.

The plugin is run as a container runtime runs it: a process of its own in the node's namespace, with
the CNI variables in its environment and the network's configuration on its stdin.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from msgspec.structs import replace

from tortie.api import Pod
from tortie.lab.errors import LabError
from tortie.lab.fabric import (
    ensure_namespace,
    remove_namespace,
    route_workload,
    unroute_workload,
)
from tortie.lab.journal import Journal, Workload
from tortie.lab.plan import Encap, Plan, Station, namespace_name
from tortie.lab.processes import end, is_alive, spawn
from tortie.linux.namespaces import in_namespace, path_of
from tortie.net import parse_prefix

_SCRIPT = str(Path(__file__).with_name("workload.py"))
_PLUGIN = "calico"
_PLUGIN_TIMEOUT = 60.0  # seconds


def new_workload(plan: Plan, pod: Pod) -> Workload:
    """A fresh container for a pod that has a node."""
    identity = secrets.token_hex(32)
    return Workload(
        pod.metadata.namespace,
        pod.metadata.name,
        pod.spec.node_name,
        identity,
        namespace_name(plan.name, f"pod-{identity[:12]}"),
    )


def start(plan: Plan, journal: Journal, workload: Workload) -> Workload:
    """Give the pod a namespace, a process and its interface; returns it with its addresses.

    Raises LabError with the plugin's own words where it refuses.
    """
    journal.record_workload(workload)
    ensure_namespace(workload.netns, journal, {})
    ensure_process(journal, workload)
    node = plan.node(workload.node)
    versions = plan.shape.families.versions
    started = replace(
        workload, addresses=_addresses(_plugin(journal, node, workload, "ADD", versions))
    )
    journal.record_workload(started)
    if plan.shape.encap is not Encap.BGP:  # the router learns it
        for address in started.addresses:
            route_workload(plan, node, parse_prefix(address))
    return started


def stop(plan: Plan, journal: Journal, workload: Workload) -> None:
    """Undo `start`, in the reverse order. Raises LabError where the plugin refuses."""
    node = plan.node(workload.node)
    _plugin(journal, node, workload, "DEL", plan.shape.families.versions)
    if plan.shape.encap is not Encap.BGP:
        for address in workload.addresses:
            unroute_workload(plan, node, parse_prefix(address))
    process = journal.process(role(workload))
    if process is not None:
        end([process])
        journal.forget_process(process.role)
    remove_namespace(workload.netns, journal)
    journal.forget_workload(workload)


def role(workload: Workload) -> str:
    """The journal's name for a pod's process."""
    return f"pod-{workload.short_id}"


def ensure_process(journal: Journal, workload: Workload) -> None:
    """The process that answers for the pod, unless it runs."""
    _ensure_answering(journal, role(workload), workload.netns, workload.name, workload.short_id)


def ensure_host_process(journal: Journal, host: Station) -> None:
    """The process that answers for an outside host, unless it runs."""
    _ensure_answering(journal, f"host-{host.name}", host.namespace, host.name, host.name)


def _ensure_answering(journal: Journal, role: str, netns: str, name: str, identity: str) -> None:
    if is_alive(journal.process(role)):
        return
    control = journal.control_socket(identity)
    control.unlink(missing_ok=True)
    spawn(journal, role, netns, [sys.executable, "-I", "-S", _SCRIPT, name, str(control)])


def _plugin(
    journal: Journal,
    node: Station,
    workload: Workload,
    command: str,
    versions: Collection[int],
) -> bytes:
    """Run the CNI plugin; its standard output."""
    with in_namespace(path_of(node.namespace)):
        child = subprocess.Popen(
            # By its interpreter, as the kernel would: on Debian, /run is mounted noexec.
            [os.path.realpath(sys.executable), "-IS", journal.plugins / _PLUGIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(journal, workload, command),
            cwd="/",
        )
    try:
        out, err = child.communicate(_configuration(journal, node, versions), _PLUGIN_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise LabError(
            f"CNI {command} of {workload.name}: no end in {_PLUGIN_TIMEOUT:g} s"
        ) from None
    if child.returncode:
        raise LabError(f"CNI {command} of {workload.name} on {node.name}: {_refusal(out, err)}")
    return out


def _environment(journal: Journal, workload: Workload, command: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": workload.id,
        "CNI_NETNS": str(path_of(workload.netns)),
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(journal.plugins),
        "CNI_ARGS": ";".join(
            (
                "IgnoreUnknown=1",
                f"K8S_POD_NAMESPACE={workload.namespace}",
                f"K8S_POD_NAME={workload.pod}",
                f"K8S_POD_INFRA_CONTAINER_ID={workload.id}",
            )
        ),
    }


def _configuration(journal: Journal, node: Station, versions: Collection[int]) -> bytes:
    assigned = {f"assign_ipv{version}": str(version in versions).lower() for version in (4, 6)}
    return json.dumps(
        {
            "cniVersion": "1.0.0",
            "name": "k8s-pod-network",
            "type": _PLUGIN,
            "agent_socket": str(journal.agent_socket(node.name)),
            "ipam": {"type": "calico-ipam", **assigned},
            "policy": {"type": "k8s"},
            # Who writes Pods into a lab may ask for any address.
            "feature_control": {"floating_ips": True, "ip_addrs_no_ipam": True},
        }
    ).encode()


def _addresses(result: bytes) -> tuple[str, ...]:
    """The addresses of a CNI result, without their lengths."""
    return tuple(ip["address"].partition("/")[0] for ip in json.loads(result).get("ips", ()))


def _refusal(out: bytes, err: bytes) -> str:
    """A plugin's error is JSON on its stdout (code, msg, details); failing that, what it said."""
    try:
        error = json.loads(out)
        return ": ".join(filter(None, (error["msg"], error.get("details", ""))))
    except (ValueError, KeyError, TypeError):
        return (err or out).decode(errors="replace").strip() or "it failed without a word"
