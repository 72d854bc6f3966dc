"""Settings: what is read, and what a person is told about what can't be."""

import pytest

from tortie.agent.config import AgentConfig, ConfigError, load_config

GOOD = [
    ("FELIX_LOGSEVERITYSCREEN", "debug", "log_severity", "DEBUG"),
    ("FELIX_LogSeverityScreen", "Warning", "log_severity", "WARNING"),
    ("FELIX_HEALTHENABLED", "true", "health_enabled", True),
    ("FELIX_HEALTHENABLED", "0", "health_enabled", False),
    ("FELIX_HEALTHPORT", "9199", "health_port", 9199),
    ("FELIX_PROMETHEUSMETRICSPORT", "65535", "metrics_port", 65535),
    ("FELIX_DATAPLANEWATCHDOGTIMEOUT", "0.5", "watchdog_timeout", 0.5),
    ("FELIX_INTERFACEPREFIX", "cali,tap", "interface_prefixes", ("cali", "tap")),
    ("FELIX_DEFAULTENDPOINTTOHOSTACTION", "accept", "endpoint_to_host_action", "ACCEPT"),
    ("FELIX_DISABLECONNTRACKINVALIDCHECK", "true", "drop_invalid", False),
    ("FELIX_VXLANVNI", "16777215", "vxlan_vni", 16777215),
    ("FELIX_NATOUTGOINGEXCLUSIONS", "ippoolsandhostips", "masquerade_to_hosts", False),
    ("FELIX_IPFORWARDING", "Disabled", "ip_forwarding", False),
    ("FELIX_IPV4NORMALROUTEPRIORITY", "2147483646", "route_priority4", 2147483646),
    ("FELIX_FELIXHOSTNAME", "Node-1", "node", "node-1"),
    ("FELIX_HEALTHPORT", " ", "health_port", 9099),
]

BAD = [
    ("FELIX_LOGSEVERITYSCREEN", "loud", "TRACE, DEBUG, INFO, WARNING, ERROR, FATAL"),
    ("FELIX_HEALTHENABLED", "maybe", "true or false"),
    ("FELIX_HEALTHPORT", "65536", "from 0 to 65535"),
    ("FELIX_HEALTHPORT", "http", "from 0 to 65535"),
    ("FELIX_HEALTHHOST", "a b", "host name or an IP address"),
    ("FELIX_DATAPLANEWATCHDOGTIMEOUT", "-1", "seconds"),
    ("FELIX_DATAPLANEWATCHDOGTIMEOUT", "nan", "seconds"),
    ("FELIX_INTERFACEPREFIX", "cali/0", "prefixes of interface names"),
    ("FELIX_DEFAULTENDPOINTTOHOSTACTION", "REJECT", "ACCEPT, DROP, RETURN"),
    ("FELIX_VXLANVNI", "0", "from 1 to 16777215"),
    ("FELIX_LOGPREFIX", 'a"b', "up to 100 letters"),
    ("FELIX_NATOUTGOINGEXCLUSIONS", "none", "IPPoolsOnly, IPPoolsAndHostIPs"),
    ("FELIX_DEVICEROUTEPROTOCOL", "256", "from 1 to 255"),
    ("FELIX_FELIXHOSTNAME", "a_b", "not a node name"),
]


@pytest.mark.parametrize(("variable", "text", "field", "expected"), GOOD)
def test_a_variable_sets_its_field(variable, text, field, expected):
    loaded = load_config({variable: text}, node="n1")
    assert getattr(loaded.config, field) == expected
    assert loaded.warnings == ()


@pytest.mark.parametrize(("variable", "text", "allowed"), BAD)
def test_a_wrong_value_names_the_variable_what_was_found_and_what_is_allowed(
    variable, text, allowed
):
    with pytest.raises(ConfigError) as caught:
        load_config({variable: text}, node="n1")
    message = str(caught.value)
    assert message.startswith(f"{variable}={text!r}: ")
    assert allowed in message
    assert "\n" not in message


def test_every_wrong_variable_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        load_config({"FELIX_HEALTHPORT": "x", "FELIX_VXLANVNI": "y"}, node="n1")
    assert [line.partition("=")[0] for line in str(caught.value).splitlines()] == [
        "FELIX_HEALTHPORT",
        "FELIX_VXLANVNI",
    ]


def test_a_variable_of_no_use_warns_with_the_nearest_name():
    loaded = load_config({"FELIX_HEALTPORT": "1", "FELIX_BPFENABLED": "true"}, node="n1")
    assert loaded.warnings == (
        "FELIX_BPFENABLED has no effect in this agent",
        "FELIX_HEALTPORT has no effect in this agent; did you mean FELIX_HealthPort?",
    )


def test_other_variables_are_left_alone():
    loaded = load_config({"HEALTHPORT": "x", "PATH": "/bin"}, node="n1")
    assert loaded == (AgentConfig(node="n1"), ())


def test_a_node_without_a_usable_name_is_told_where_to_set_it():
    with pytest.raises(ConfigError, match="set it with --node"):
        load_config({}, node="")
