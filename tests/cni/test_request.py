"""What a runtime asks: read right, or refused with the specification's code and a clear reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.cni.errors import CniError
from tortie.cni.request import CniRequest, parse_config, parse_request

CONFIG = {"cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico"}
ENVIRON = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "c0ffee",
    "CNI_NETNS": "/run/netns/x",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0",
}


def parse(environ=None, **config):
    return parse_request({**ENVIRON, **(environ or {})}, json.dumps({**CONFIG, **config}).encode())


def test_a_whole_request_is_read():
    request = parse(
        mtu=1400,
        ipam={"type": "calico-ipam", "assign_ipv6": True, "ipv4_pools": ["10.0.0.0/16"]},
        policy_setup_timeout_seconds=7,
        container_settings={"allow_ip_forwarding": True},
        prevResult=None,
        kubernetes={"kubeconfig": "/x"},
    )
    assert (request.command, request.container_id, request.ifname) == ("ADD", "c0ffee", "eth0")
    assert request.arguments["K8S_POD_NAME"] == "web-0"
    assert request.handle == "k8s-pod-network.c0ffee"
    assert request.config.mtu == 1400
    assert request.config.ipam.assign_ipv6 == "true"
    assert request.config.ipam.ipv4_pools == ("10.0.0.0/16",)
    assert request.config.add_limit == 7
    assert request.config.container_settings.allow_ip_forwarding


@pytest.mark.parametrize(("asked", "limit"), [(0, 30), (7.5, 7.5), (50, 50), (51, 50), (9999, 50)])
def test_the_wait_for_policy_is_bounded_below_what_the_plugin_waits(asked, limit):
    assert parse(policy_setup_timeout_seconds=asked).config.add_limit == limit


def test_no_two_interfaces_share_a_handle():
    """Ids may have dots: a handle's text alone could be another container's with its interface."""
    handles = [
        parse({"CNI_CONTAINERID": container, "CNI_IFNAME": ifname}).handle
        for container in ("c", "C", "c.net1", "c.eth0", "c.net1.net2")
        for ifname in ("eth0", "net1", "net2", "net1.net2")
    ]
    assert len(set(handles)) == len(handles)


@pytest.mark.parametrize(
    ("environ", "config", "code", "said"),
    [
        ({"CNI_COMMAND": "PAUSE"}, {}, 4, "CNI_COMMAND is 'PAUSE'"),
        ({"CNI_COMMAND": ""}, {}, 4, "ADD, DEL, CHECK, STATUS, GC, VERSION"),
        ({"CNI_CONTAINERID": ""}, {}, 4, "CNI_CONTAINERID is ''"),
        ({"CNI_CONTAINERID": "../x"}, {}, 4, "CNI_CONTAINERID is '../x'"),
        ({"CNI_IFNAME": "a/b"}, {}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": ".."}, {}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "x" * 16}, {}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "\u4e2d" * 8}, {}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "all"}, {}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "default"}, {}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "eth%d"}, {}, 4, "CNI_IFNAME"),
        ({"CNI_NETNS": ""}, {}, 4, "CNI_NETNS is ''"),
        ({"CNI_NETNS": "", "CNI_COMMAND": "CHECK"}, {}, 4, "CNI_NETNS is ''"),
        ({"CNI_ARGS": "K8S_POD_NAME"}, {}, 4, "NAME=VALUE;NAME=VALUE"),
        ({}, {"cniVersion": "0.2.1"}, 1, "0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"),
        ({}, {"cniVersion": "2.0.0"}, 1, "'2.0.0' is not supported"),
        ({"CNI_COMMAND": "CHECK"}, {"cniVersion": "0.3.1"}, 1, "CHECK came with cniVersion 0.4.0"),
        ({"CNI_COMMAND": "GC"}, {}, 1, "GC came with cniVersion 1.1.0"),
        ({}, {"name": ""}, 7, "'' is not a network's name"),
        ({}, {"name": "a/b"}, 7, "'a/b' is not a network's name"),
        ({}, {"ipam": {"type": "../host-local"}}, 7, "ipam.type is '../host-local'"),
        ({}, {"mtu": -1}, 7, "$.mtu"),
        ({}, {"mtu": "1500"}, 7, "$.mtu"),
        ({}, {"policy_setup_timeout_seconds": -5}, 7, "$.policy_setup_timeout_seconds"),
        ({}, {"ipam": {"ipv4_pools": "10.0.0.0/8"}}, 7, "$.ipam.ipv4_pools"),
    ],
)
def test_what_is_wrong_is_named(environ, config, code, said):
    with pytest.raises(CniError) as caught:
        parse(environ, **config)
    assert caught.value.code == code
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", 6),
        (b"{", 6),
        (b"[]", 7),
        (b"{}", 7),
        (b'{"name":1}', 7),
        (b"\xff", 6),
        (b"[" * 9999, 6),
    ],
)
def test_a_configuration_that_is_none_is_refused(text, code):
    with pytest.raises(CniError) as caught:
        parse_config(text)
    assert caught.value.code == code


def test_a_delete_needs_no_namespace():
    assert parse({"CNI_COMMAND": "DEL", "CNI_NETNS": ""}).netns == ""


def test_a_list_of_valid_attachments_is_read_for_gc():
    attachments = [{"containerID": "a", "ifname": "eth0"}]
    config = {"cniVersion": "1.1.0", "cni.dev/valid-attachments": attachments}
    (found,) = parse({"CNI_COMMAND": "GC"}, **config).config.valid_attachments
    assert (found.container_id, found.ifname) == ("a", "eth0")


@given(
    environ=st.dictionaries(st.sampled_from([*ENVIRON, "CNI_PATH"]), st.text(max_size=30)),
    config=st.one_of(
        st.binary(max_size=60),
        st.dictionaries(
            st.sampled_from(["cniVersion", "name", "mtu", "ipam", "container_settings"]),
            st.one_of(st.none(), st.text(max_size=10), st.integers(), st.lists(st.integers())),
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_nothing_but_a_request_or_the_specifications_error_comes_out(environ, config):
    outcome = outcome_of(environ, config)
    assert isinstance(outcome, CniRequest) or (outcome.message and outcome.code in (1, 4, 6, 7))


def outcome_of(environ, config):
    try:
        return parse_request(environ, config)
    except CniError as error:
        return error
