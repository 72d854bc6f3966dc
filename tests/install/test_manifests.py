"""What an installation is made of: taken by a real API server, with commands that exist."""

import importlib
import json

import pytest
import yaml

from install.installations import INSTALLATIONS
from tortie.cli.dispatch import PACKAGE, Command, Group, parser_of
from tortie.cli.main import TORTIE, main
from tortie.install.certificates import new_certificates
from tortie.install.manifests.bundle import bundle
from tortie.install.manifests.choices import ChoiceError, Choices, Encap, Kept, Networking, pool_of
from tortie.install.manifests.objects import OURS, labelled
from tortie.install.manifests.secrets import certificate_objects
from tortie.install.manifests.text import text

ALL = pytest.mark.parametrize("name", INSTALLATIONS)
_WORKLOADS = ("DaemonSet", "Deployment")


def pods(made):
    return [each["spec"]["template"]["spec"] for each in bundle(made) if each["kind"] in _WORKLOADS]


def containers(made):
    found = [
        one
        for pod in pods(made)
        for one in (*pod.get("initContainers", ()), *pod["containers"])
        if one["image"] == made.image
    ]
    assert "calico-node" in {one["name"] for one in found}
    return found


def commands_of(container):
    """Every command line that a container has: its own, its probes', its hooks'."""
    yield container["command"]
    for probe in ("livenessProbe", "readinessProbe"):
        if "exec" in container.get(probe, {}):
            yield container[probe]["exec"]["command"]
    for hook in container.get("lifecycle", {}).values():
        yield hook["exec"]["command"]


def parsed(words):
    """The options that our own command line makes of it. Raises KeyError, SystemExit."""
    found: Command | Group = TORTIE
    rest = list(words[1:])
    while isinstance(found, Group):
        command = found.commands[rest.pop(0)]
        module = importlib.import_module(f"{PACKAGE}.{command.module}")
        found = getattr(module, "GROUP", command)
    return parser_of(" ".join(words), module).parse_args(rest)


@ALL
def test_every_command_of_a_container_is_one_of_ours(name):
    for container in containers(INSTALLATIONS[name]):
        for words in commands_of(container):
            assert words[0] == "tortie"
            parsed(words)


def test_a_flag_that_does_not_exist_would_be_found():
    with pytest.raises(SystemExit):
        parsed(["tortie", "fanout", "--such-a-flag"])


@ALL
def test_every_reference_leads_to_something(name):
    """Volumes, accounts, keys of ConfigMaps and Secrets."""
    made = INSTALLATIONS[name]
    objects = bundle(made)
    there = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    later = [*certificate_objects(new_certificates())] if made.typha else []
    there |= {(each["kind"], each["metadata"]["name"]): each for each in later}
    for pod in pods(made):
        assert ("ServiceAccount", pod["serviceAccountName"]) in there
        volumes = {each["name"] for each in pod.get("volumes", ())}
        mounted = {
            each["name"]
            for one in (*pod.get("initContainers", ()), *pod["containers"])
            for each in one.get("volumeMounts", ())
        }
        assert mounted == volumes
        for container in pod["containers"]:
            for variable in container["env"]:
                if "configMapKeyRef" in variable.get("valueFrom", {}):
                    key = variable["valueFrom"]["configMapKeyRef"]
                    assert key["key"] in there["ConfigMap", key["name"]]["data"]
        for volume in pod.get("volumes", ()):
            for source in volume.get("projected", {}).get("sources", ()):
                for kind, field in (("ConfigMap", "configMap"), ("Secret", "secret")):
                    if field in source:
                        data = there[kind, source[field]["name"]]["data"]
                        assert {each["key"] for each in source[field]["items"]} <= set(data)


@ALL
def test_only_the_agent_is_privileged_and_nothing_else_gains_rights(name):
    for container in containers(INSTALLATIONS[name]):
        context = container["securityContext"]
        if container["name"] == "calico-node":
            assert context == {"privileged": True}
        else:
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"]["drop"] == ["ALL"]
            allowed = {"NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW"}
            added = set(context["capabilities"].get("add", ()))
            assert added == (allowed if container["name"] == "calico-bgp" else set())


@ALL
def test_the_same_choices_make_the_same_text(name):
    made = INSTALLATIONS[name]
    assert text(made) == text(made)
    assert list(yaml.safe_load_all(text(made))) == bundle(made)


@ALL
def test_everything_carries_the_labels_by_which_it_is_removed(name):
    for each in bundle(INSTALLATIONS[name]):
        assert OURS.items() <= each["metadata"]["labels"].items()


def test_the_network_configuration_is_json_once_its_words_are_filled_in():
    (found,) = [each for each in bundle(Choices()) if each["kind"] == "ConfigMap"]
    config = found["data"]["cni_network_config"].replace("__CNI_MTU__", "1440")
    plugins = json.loads(config)["plugins"]
    assert [each["type"] for each in plugins] == ["calico", "portmap"]
    assert plugins[0]["mtu"] == 1440


def test_no_key_is_shown():
    made = INSTALLATIONS["etcd-tls"]
    assert "key" not in repr(made.etcd_files)
    assert "PRIVATE" not in repr(new_certificates())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kept": Kept.ETCD}, "--etcd-endpoints"),
        ({"etcd_endpoints": ("http://a:1",)}, "--datastore etcd"),
        ({"kept": Kept.ETCD, "etcd_endpoints": ("http://a:1", "https://a:1")}, "all be http"),
        ({"kept": Kept.ETCD, "etcd_endpoints": ("http://a:1",), "typha": 1}, "not with"),
        ({"kept": Kept.ETCD, "etcd_endpoints": ("a; rm -rf /",)}, "https://HOST:2379"),
        ({"cloud": "aws"}, "--policy-only"),
        ({"flannel_image": "f"}, "--flannel"),
        ({"networking": Networking.FLANNEL, "ipv4_pool": pool_of("10.0.0.0/8", 4)}, "pools"),
        ({"ipv6_pool": pool_of("fd00::/48", 6)}, "IPv4 alone"),
        ({"encap": Encap.BGP, "cross_subnet": True}, "CrossSubnet"),
        ({"image": "a b"}, "names no image"),
        ({"typha": -1}, "choose 0"),
        ({"mtu": 100}, "1280"),
        ({"plugin_folder": "/../etc"}, "no folder"),
        ({"group": "apps"}, "no group"),
    ],
)
def test_choices_that_do_not_go_together_are_refused_with_the_reason(wrong, said):
    with pytest.raises(ChoiceError, match=said):
        Choices(**wrong)


@pytest.mark.parametrize("arguments", [["--pool", "10.0.0/8"], ["--pool6", "10.0.0.0/8"]])
def test_a_pool_that_is_none_is_told_in_one_line(arguments, capsys):
    assert main(["install", "manifests", *arguments]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_prints_what_is_kept_in_the_repository(capsys):
    assert main(["install", "manifests", "--encap", "vxlan"]) == 0
    assert capsys.readouterr().out == text(INSTALLATIONS["calico-vxlan.yaml"])


@ALL
def test_an_api_server_takes_all_of_it_strictly(name, shared_kube):
    """Every object, whatever was there before: judged field by field, defaults and all."""
    api, made = shared_kube.api, INSTALLATIONS[name]
    later = [labelled(each) for each in certificate_objects(new_certificates())]
    for each in (*bundle(made), *(later if made.typha else ())):
        if each["kind"] != "CustomResourceDefinition":  # tests/manifests does that
            api.try_apply(each)
