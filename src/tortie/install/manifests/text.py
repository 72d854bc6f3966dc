"""An installation as the YAML that people read, keep and apply."""

from tortie.api.crds import WHOLE, Release
from tortie.api.writing import yaml_text
from tortie.install.manifests.bundle import bundle, roles
from tortie.install.manifests.choices import Choices, Kept, Networking
from tortie.install.manifests.config import ETCD_KEYS, ETCD_SECRET
from tortie.install.manifests.objects import Object, name_of
from tortie.install.rights.roles import NAMESPACE
from tortie.install.rights.text import comment, role_text_of


def text(made: Choices, release: Release = WHOLE) -> str:
    """All documents; the same choices always give the same text."""
    by_name = {role.name: role for role in roles(made)}
    parts = [comment(_head(made))]
    for each in bundle(made, release):
        if each["kind"] == "ClusterRole":
            role = by_name[each["metadata"]["name"]]
            parts.append(f"---\n{comment(role.why)}{role_text_of(role, made.group, each)}")
        else:
            parts.append(f"---\n{_titled(each)}{yaml_text(each)}")
    return "".join(parts)


def _titled(made: Object) -> str:
    return "" if made["kind"] == "CustomResourceDefinition" else comment(name_of(made))


def _head(made: Choices) -> str:
    lines = [f"Tortie {_what(made)}.", "", "  kubectl apply --server-side -f FILE", ""]
    lines += ["The image is built by `make image` and loaded on each node, or is in a registry of"]
    lines += ["yours: name it with --image. `tortie install apply` applies the same, and waits."]
    if made.typha:
        lines += ["", "Agents and the fan-out's servers know each other by certificates:", ""]
        lines += ["  tortie install certificates | kubectl apply -f -"]
    if made.etcd_tls and made.etcd_files is None:
        names = ", ".join(ETCD_KEYS.values())
        lines += ["", f"A Secret {NAMESPACE}/{ETCD_SECRET} has to be there, with {names}."]
    return "\n".join(lines)


def _what(made: Choices) -> str:
    kept = "etcd" if made.kept is Kept.ETCD else "the Kubernetes API"
    if made.networking is Networking.FLANNEL:
        way = "with flannel's network"
    elif made.networking is Networking.POLICY_ONLY:
        way = f"for policy on {made.cloud or 'another plugin'}'s network"
    else:
        way = f"with {made.encap} between nodes"
    servers = f", {made.typha} servers of the fan-out" if made.typha else ""
    return f"{way}, {made.dataplane}, resources in {kept}{servers}"
