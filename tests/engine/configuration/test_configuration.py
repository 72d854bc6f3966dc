"""The agent's parameters: how each is read, who wins, and what a bad value leads to."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tortie.api import ObjectMeta
from tortie.api.calico.felix.dataplane import ProtoPort, RouteTableIDRange, RouteTableRange
from tortie.api.calico.felix.process import HealthTimeoutOverride
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.engine.configuration import (
    Origin,
    Resolved,
    Source,
    from_environment,
    from_file,
    from_resources,
    resolve,
    unused,
)
from tortie.engine.configuration.page import page
from tortie.engine.configuration.parameters import BY_NAME, Configuration
from tortie.engine.configuration.readers import TableRange
from tortie.engine.configuration.reasons import why_unused
from tortie.engine.configuration.resolve import default_of
from tortie.net import PortRange, parse_network
from tortie.net.protocols import TCP, UDP
from tortie.policy.program import DEFAULT_FAILSAFES, Failsafe

NAMED = {"FelixHostname": "n1"}


def resolved(*sources: Source, **variables: str) -> Resolved:
    environ = {f"FELIX_{name}": text for name, text in (NAMED | variables).items()}
    return resolve([*sources, from_environment(environ)])


def read(**variables: str) -> Configuration:
    found = resolved(**variables)
    assert not found.problems
    return found.configuration


def felix(name="default", selector="", year=2020, **spec) -> FelixConfiguration:
    made = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    return FelixConfiguration(
        metadata=ObjectMeta(name=name, creation_timestamp=made.strftime("%Y-%m-%dT%H:%M:%SZ")),
        spec=FelixConfigurationSpec(node_selector=selector, **spec),
    )


def test_all_parameters_have_a_value_and_most_a_default():
    found = resolved()
    assert not found.problems
    own = sum(each.parameter.own for each in BY_NAME.values())
    assert len(found.settings) == len(Configuration.__struct_fields__) == 198 + own
    assert {s.origin for n, s in found.settings.items() if n not in NAMED} == {Origin.DEFAULT}
    assert found.configuration.vxlan_port == 4789
    assert found.configuration.vxlan_enabled is None
    failsafes = DEFAULT_FAILSAFES
    assert found.configuration.failsafe_inbound_host_ports == failsafes.inbound
    assert found.configuration.failsafe_outbound_host_ports == failsafes.outbound


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("BPFEnabled", "Yes", True),
        ("BPFEnabled", "0", False),
        ("HealthPort", "65535", 65535),
        ("GoMaxProcs", "-1", -1),
        ("RouteRefreshInterval", "0.5", 0.5),
        ("IptablesLockProbeIntervalMillis", "50", 0.05),
        ("LogSeverityScreen", "debug", "DEBUG"),
        ("NATPortRange", "32768:65535", PortRange(32768, 65535)),
        ("KubeNodePortRanges", "1, 2:3", (PortRange(1, 1), PortRange(2, 3))),
        ("IptablesMarkMask", "0xff00", 0xFF00),
        ("NATOutgoingAddress", "192.0.2.1", parse_network("192.0.2.1")),
        (
            "BPFDSROptoutCIDRs",
            "10.0.0.0/8,fd00::/8",
            tuple(map(parse_network, ("10.0.0.0/8", "fd00::/8"))),
        ),
        ("InterfaceExclude", "kube-ipvs0,/^a{1,2}$/,lo", ("kube-ipvs0", "/^a{1,2}$/", "lo")),
        ("FeatureGates", "A=true,B=", (("A", "true"), ("B", ""))),
        ("HealthTimeoutOverrides", "a=1m30s,b=0", (("a", 90.0), ("b", 0.0))),
        ("RouteTableRange", "1-250", TableRange(1, 250)),
        ("RouteTableRanges", "1-2 5-6,9-9", (TableRange(1, 2), TableRange(5, 6), TableRange(9, 9))),
        ("IstioDSCPMark", "af11", 10),
        ("IstioDSCPMark", "63", 63),
        ("EtcdEndpoints", "https://a:2379,http://b:1", ("https://a:2379", "http://b:1")),
        ("FailsafeInboundHostPorts", "22", (Failsafe(TCP, 22),)),
        (
            "FailsafeInboundHostPorts",
            "udp:10.0.0.0/8:53,tcp:[fd00::/8]:22",
            (
                Failsafe(UDP, 53, parse_network("10.0.0.0/8")),
                Failsafe(TCP, 22, parse_network("fd00::/8")),
            ),
        ),
    ],
)
def test_texts_are_read_as_values(name, text, expected):
    assert getattr(read(**{name: text}), BY_NAME[name.casefold()].field) == expected


BAD = [
    ("BPFEnabled", "maybe"),
    ("HealthPort", "65536"),
    ("HealthPort", "1_0"),
    ("HealthPort", "٣"),
    ("RouteRefreshInterval", "-1"),
    ("RouteRefreshInterval", "nan"),
    ("RouteRefreshInterval", "10s"),
    ("NFTablesMode", "On"),
    ("NATPortRange", "2:1"),
    ("NATOutgoingAddress", "fd00::1"),
    ("BPFExcludeCIDRsFromNAT", "10.0.0.0/33"),
    ("MTUIfacePattern", "("),
    ("FeatureGates", "novalue"),
    ("HealthTimeoutOverrides", "a=1"),
    ("IstioDSCPMark", "64"),
    ("LogActionRateLimit", "10/week"),
    ("InterfaceExclude", "/(/"),
    ("BPFForceTrackPacketsFromIfaces", "a b"),
    ("BPFMaglevMaxServices", "3001"),
    ("FailsafeInboundHostPorts", "icmp:1"),
    ("FailsafeOutboundHostPorts", "tcp:65536"),
    ("VXLANPort", "0"),
    ("VXLANPort", "none"),
    ("VXLANVNI", "16777216"),
    ("DeviceRouteProtocol", "256"),
    ("LogPrefix", 'a"b'),
]
FATAL = [
    ("IptablesMarkMask", "0x1"),
    ("RouteTableRange", "0-251"),
    ("RouteTableRanges", "1-70000"),
    ("RouteTableRanges", "5"),
    ("ExternalNodesCIDRList", "x"),
    ("OpenstackRegion", "a.b"),
    ("InterfacePrefix", "waytoolongforaninterface"),
    ("MetadataPort", "x"),
    ("DatastoreType", "sqlite"),
    ("ChainInsertMode", "none"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_named_and_the_default_used(name, text):
    found = resolved(**{name: text})
    (problem,) = found.problems
    assert (problem.fatal, found.fatal) == (False, ())
    assert problem.text.startswith(f"the environment: {name}={text!r}: ")
    assert found.settings[name] == default_of(BY_NAME[name.casefold()].parameter)


@pytest.mark.parametrize(("name", "text"), FATAL)
def test_a_bad_value_of_some_stops_the_agent(name, text):
    (problem,) = resolved(**{name: text}).fatal
    assert name in problem


def test_what_has_to_be_set_is_missed():
    assert resolve([]).fatal == ("FelixHostname is not set; it has no default",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("FailsafeInboundHostPorts", ()),
        ("InterfaceExclude", ()),
        ("HealthPort", 0),
        ("RouteRefreshInterval", 0.0),
        ("MTUIfacePattern", ""),
        ("NATPortRange", None),
    ],
)
@pytest.mark.parametrize("text", ["none", "NONE"])
def test_none_turns_off_what_has_a_default(name, text, expected):
    assert getattr(read(**{name: text}), BY_NAME[name.casefold()].field) == expected


def test_none_is_a_word_where_it_is_one_and_no_value_of_what_is_required():
    assert read(FlowLogsPolicyEvaluationMode="none").flow_logs_policy_evaluation_mode == "None"
    (problem,) = resolved(MaxIpsetSize="none").problems
    assert "needs a value" in problem.text


def test_names_are_read_in_any_case_and_empty_ones_count_as_not_set():
    assert read(vxlanPORT="99").vxlan_port == 99
    assert read(VXLANPort=" ").vxlan_port == 4789


def test_an_unknown_name_gives_the_nearest():
    (problem,) = resolved(VXLANPrt="1").problems
    assert problem.text == (
        "the environment: there is no parameter VXLANPrt; did you mean VXLANPort?"
    )


LABELS = {"zone": "a"}
ORDERED = [
    (Origin.OVERRIDE, Source(Origin.OVERRIDE, "the program", {"VXLANPort": "1"})),
    (Origin.ENVIRONMENT, from_environment({"FELIX_VXLANPort": "2"})),
    (Origin.FILE, from_file("felix.cfg", "[global]\nVXLANPort = 3\n")),
    (Origin.NODE, from_resources([felix("node.n1", vxlan_port=4)], "n1", LABELS)[0]),
    (Origin.SELECTOR, from_resources([felix("s", "zone == 'a'", vxlan_port=5)], "n1", LABELS)[0]),
    (Origin.CLUSTER, from_resources([felix(vxlan_port=6)], "n1", LABELS)[0]),
]


@given(st.lists(st.sampled_from(range(len(ORDERED))), unique=True))
def test_the_nearest_source_wins_whatever_the_order_they_are_given_in(chosen):
    found = resolved(*(ORDERED[number][1] for number in chosen))
    if not chosen:
        assert found.settings["VXLANPort"].origin is Origin.DEFAULT
        return
    first = min(chosen)
    setting = found.settings["VXLANPort"]
    assert (setting.origin, setting.value) == (ORDERED[first][0], first + 1)
    assert found.configuration.vxlan_port == first + 1


def test_a_bad_value_does_not_make_room_for_a_source_of_lower_rank():
    found = resolved(*from_resources([felix(vxlan_port=6)], "n1", {}), VXLANPort="x")
    assert found.configuration.vxlan_port == 4789


def test_of_configurations_by_selector_the_oldest_wins_parameter_by_parameter():
    old = felix("b", "has(zone)", 2019, vxlan_port=1)
    new = felix("a", "zone == 'a'", 2021, vxlan_port=2, vxlan_vni=7)
    other = felix("c", "zone == 'b'", 2018, vxlan_port=3)
    found = resolved(*from_resources([new, other, old], "n1", LABELS))
    assert (found.configuration.vxlan_port, found.configuration.vxlan_vni) == (1, 7)
    assert found.settings["VXLANPort"].title == "FelixConfiguration(b)"


def test_other_nodes_configurations_and_those_without_a_selector_are_for_nobody_here():
    others = [felix("node.n2", vxlan_port=1), felix("some", vxlan_port=2)]
    assert from_resources(others, "n1", LABELS) == []


def test_a_selector_that_cannot_be_read_is_for_no_node_and_named():
    found = resolved(*from_resources([felix("s", "zone ==", vxlan_port=5)], "n1", LABELS))
    assert found.configuration.vxlan_port == 4789
    assert "FelixConfiguration(s): spec.nodeSelector" in found.problems[0].text


def test_a_datastore_may_not_set_what_is_the_nodes_own():
    source = Source(Origin.CLUSTER, "FelixConfiguration(default)", {"DatastoreType": "kubernetes"})
    found = resolved(source)
    assert found.configuration.datastore_type == "etcdv3"
    assert "each node's own" in found.problems[0].text


def test_fields_of_the_resource_mean_what_their_texts_do():
    spec = felix(
        bpf_enabled=True,
        route_refresh_interval="1m30s",
        iptables_lock_probe_interval="20ms",
        failsafe_inbound_host_ports=(
            ProtoPort(port=22),
            ProtoPort(protocol="UDP", port=53, net="fd00::/8"),
        ),
        failsafe_outbound_host_ports=(),
        route_table_ranges=(RouteTableIDRange(min=1, max=5),),
        route_table_range=RouteTableRange(min=1, max=5),
        health_timeout_overrides=(HealthTimeoutOverride(name="a", timeout="5s"),),
        bpf_log_filters={"eth0": "tcp"},
        kube_node_port_ranges=(80, "90:91"),
        log_severity_screen="Info",
        nat_port_range="1:2",
    )
    found = resolved(*from_resources([spec], "n1", {}))
    assert not found.problems
    read_ = found.configuration
    assert (read_.bpf_enabled, read_.route_refresh_interval) == (True, 90.0)
    assert read_.iptables_lock_probe_interval_millis == pytest.approx(0.02)
    assert read_.failsafe_inbound_host_ports == (
        Failsafe(TCP, 22),
        Failsafe(UDP, 53, parse_network("fd00::/8")),
    )
    assert read_.failsafe_outbound_host_ports == ()
    assert read_.route_table_ranges == (TableRange(1, 5),)
    assert read_.route_table_range == TableRange(1, 5)
    assert read_.health_timeout_overrides == (("a", 5.0),)
    assert read_.bpf_log_filters == (("eth0", "tcp"),)
    assert read_.kube_node_port_ranges == (PortRange(80, 80), PortRange(90, 91))
    assert (read_.log_severity_screen, read_.nat_port_range) == ("INFO", PortRange(1, 2))


def test_every_parameter_that_a_datastore_may_set_is_a_field_of_the_resource():
    fields = set(FelixConfigurationSpec.__struct_encode_fields__) - {"nodeSelector"}
    known = {each.parameter.field for each in BY_NAME.values() if each.parameter.field}
    assert known <= fields


def test_what_only_this_agent_knows_is_an_annotation_of_the_resource():
    on = felix("default")
    metadata = structs.replace(on.metadata, annotations={"tortie/endDeniedFlows": "Enabled"})
    told = from_resources([structs.replace(on, metadata=metadata)], "n1", {})
    found = resolve([*told, from_environment({"FELIX_FELIXHOSTNAME": "n1"})])
    assert found.configuration.end_denied_flows == "Enabled"
    assert found.settings["EndDeniedFlows"].title == "FelixConfiguration(default)"
    assert resolved(ENDDENIEDFLOWS="enabled").configuration.end_denied_flows == "Enabled"


def test_a_file_that_is_none_is_left_out_and_named():
    found = resolved(from_file("felix.cfg", "no section\n"))
    assert "felix.cfg" in found.problems[0].text
    assert not found.fatal


def test_what_is_set_and_not_used_is_told():
    told = list(unused(resolved(VXLANPort="1", BPFEnabled="true")))
    (line,) = told
    assert line.startswith("the environment: BPFEnabled has no effect: there is no eBPF")


def test_every_parameter_is_used_or_has_a_reason_why_not():
    for each in BY_NAME.values():
        assert bool(why_unused(each.parameter.name)) is not each.parameter.used, each.parameter.name


@given(st.sampled_from(sorted(BY_NAME)), st.text(max_size=20))
def test_no_text_raises(name, text):
    found = resolve([Source(Origin.ENVIRONMENT, "it", {name: text, **NAMED})])
    assert isinstance(found.configuration, Configuration)


def test_the_page_is_as_its_generator_writes_it():
    assert Path("docs/felix-parameters.md").read_text(encoding="utf-8") == page()
