"""Settings: who wins, what a change means, and what a person is told of what can't be used."""

from pathlib import Path

import pytest

from tortie.agent.driver_settings import (
    check,
    nft_settings,
    route_settings,
    vxlan_settings,
    wireguard_settings,
)
from tortie.agent.remembered import Remembered
from tortie.agent.settings import LIVE, RESTART, Settings, SettingsError
from tortie.agent.sources import local_sources
from tortie.api import Node, NodeSpec, ObjectMeta
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.dataplane.nftables import NftSettings
from tortie.dataplane.routes import RouteSettings
from tortie.dataplane.tunnels import VXLAN_V6, VxlanSettings
from tortie.engine.configuration import Origin, Source
from tortie.engine.configuration.parameters import BY_NAME
from tortie.policy.program import DEFAULT_FAILSAFES


def felix(name="default", selector="", **spec):
    found = FelixConfiguration(
        metadata=ObjectMeta(name=name),
        spec=FelixConfigurationSpec(node_selector=selector, **spec),
    )
    return found.key, found


def node(name="n1", **labels):
    found = Node(metadata=ObjectMeta(name=name, labels=labels), spec=NodeSpec())
    return found.key, found


def settings(remembered=(), **variables):
    environ = {f"FELIX_{name}": text for name, text in variables.items()}
    return Settings(local_sources(environ, "n1").sources, remembered)


def settled(found, *updates):
    """The names of what changed by these updates."""
    found.saw(updates)
    return found.settle()


def test_every_parameter_that_is_used_is_changed_live_or_by_a_new_start():
    used = {each.parameter.name for each in BY_NAME.values() if each.parameter.used}
    local = {each.parameter.name for each in BY_NAME.values() if each.parameter.local}
    assert used - local == LIVE | RESTART
    assert not LIVE & RESTART


def test_the_defaults_of_parameters_and_drivers_are_the_same():
    config = settings().configuration
    assert nft_settings(config) == NftSettings()
    assert route_settings(config) == RouteSettings()
    assert vxlan_settings(config, 4) == VxlanSettings()
    assert vxlan_settings(config, 6) == VXLAN_V6


def test_what_the_datastore_says_holds_from_the_first_picture_on_and_until_it_is_gone():
    found = settings()
    assert settled(found) == frozenset()
    key, value = felix(vxlan_port=4790)
    found.saw([(key, value)])
    assert found.configuration.vxlan_port == 4789
    assert found.settle() == {"VXLANPort"}
    assert found.configuration.vxlan_port == 4790
    assert settled(found, (key, value)) == frozenset()
    assert settled(found, (key, None)) == {"VXLANPort"}
    assert found.configuration.vxlan_port == 4789


def test_a_label_of_this_node_decides_who_is_selected_and_others_do_not():
    found = settings()
    assert settled(found, felix("a", "zone == 'x'", vxlan_port=1)) == frozenset()
    assert settled(found, node("n2", zone="x")) == frozenset()
    assert settled(found, node("n1", zone="x")) == {"VXLANPort"}
    key, _ = node()
    assert settled(found, (key, None)) == {"VXLANPort"}


def test_the_environment_wins_over_what_the_datastore_says():
    found = settings(VXLANPORT="4791")
    assert settled(found, felix(vxlan_port=4790)) == frozenset()
    assert found.configuration.vxlan_port == 4791
    said = {one.name: one for one in found.said()}
    assert said["VXLANPort"] == ("VXLANPort", "4791", "the environment")
    assert said.keys() == {"VXLANPort", "FelixHostname"}


def test_a_fatal_value_of_the_node_itself_is_refused_with_all_of_them_named():
    with pytest.raises(SettingsError) as caught:
        settings(INTERFACEPREFIX="cali/0", DEFAULTENDPOINTTOHOSTACTION="maybe")
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "DefaultEndpointToHostAction='maybe': use one of ACCEPT, DROP, RETURN" in lines[0]


def broken(name="default"):
    """As a datastore may hold it that nobody validated."""
    return felix(name, interface_prefix="a/b", vxlan_port=4790)


def test_a_fatal_value_of_the_datastore_stops_a_first_start_and_later_changes_nothing():
    with pytest.raises(SettingsError, match="InterfacePrefix"):
        settled(settings(), broken())
    found = settings()
    settled(found, felix(interface_prefix="tap"))
    assert settled(found, broken()) == frozenset()
    assert found.configuration.interface_prefix == "tap"
    assert found.configuration.vxlan_port == 4789
    assert any("InterfacePrefix" in one for one in found.problems)
    assert settled(found, felix(interface_prefix="tap", vxlan_port=4790)) == {"VXLANPort"}
    assert found.problems == ()


def test_a_fatal_value_after_a_restart_leaves_what_is_remembered_in_force():
    first = settings()
    settled(first, felix(interface_prefix="tap"))
    second = settings(first.told)
    assert second.configuration.interface_prefix == "tap"
    assert settled(second, broken()) == frozenset()
    assert second.configuration.interface_prefix == "tap"


def test_what_can_not_be_read_counts_as_what_must_not_be_used_where_it_may_be_for_this_node():
    line = "FelixConfiguration({}) counts as absent, it was never read well: why"
    ours = [line.format(name) for name in ("default", "node.n1", "some-selector")]
    for one in ours:
        with pytest.raises(SettingsError, match="never read well"):
            settings().settle([one])
    others = [line.format("node.n2"), "NetworkPolicy(default/a) counts as absent, why"]
    found = settings()
    settled(found, felix(interface_prefix="tap"))
    key, _ = felix()
    found.saw([(key, None)])
    assert found.settle([*others, ours[0]]) == frozenset()
    assert found.configuration.interface_prefix == "tap"
    assert found.problems == (ours[0],)
    assert found.settle(others) == {"InterfacePrefix"}
    assert found.problems == ()


def test_a_new_start_with_what_is_remembered_changes_nothing_when_the_picture_comes():
    first, said = settings(), felix(health_port=9199, interface_prefix="tap")
    assert settled(first, said) == {"HealthPort", "InterfacePrefix"}
    assert settled(settings(first.told), said) == frozenset()


def test_an_unreadable_list_of_failsafe_ports_means_the_default_one():
    found = settings(FAILSAFEINBOUNDHOSTPORTS="tcp:22,nonsense")
    assert found.configuration.failsafe_inbound_host_ports == DEFAULT_FAILSAFES.inbound
    (problem,) = found.problems
    assert "FailsafeInboundHostPorts" in problem


def test_the_file_stands_below_the_environment_and_above_the_datastore(tmp_path):
    file = tmp_path / "felix.cfg"
    file.write_text("[global]\nVXLANPort = 1\nVXLANVNI = 2\nTyphaAddr = a:1\nEtcdAddr = b:2\n")
    environ = {"FELIX_VXLANPORT": "3", "FELIX_TYPHAADDR": "c:3", "FELIX_DATASTORE": "x"}
    local = local_sources(environ, "n1", str(file))
    found = Settings(local.sources)
    settled(found, felix(vxlan_vni=9))
    assert (found.configuration.vxlan_port, found.configuration.vxlan_vni) == (3, 2)
    assert found.problems == ()
    assert local.environ == {**environ, "FELIX_vxlanvni": "2", "FELIX_etcdaddr": "b:2"}


@pytest.mark.parametrize("text", ["VXLANPort = 1\n", "[global]\n=\n", "\xff"])
def test_a_file_that_can_not_be_read_stops_the_start(tmp_path, text):
    file = tmp_path / "felix.cfg"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"felix\.cfg") as caught:
        local_sources({}, "n1", str(file))
    assert "left out" not in str(caught.value)
    with pytest.raises(SettingsError, match="no such file"):
        local_sources({}, "n1", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("environ", "machine", "expected"),
    [
        ({}, "n1", "n1"),
        ({"FELIX_FelixHostname": "n2"}, "n1", "n2"),
        ({"FELIX_FELIXHOSTNAME": "N2"}, "n1", "n2"),
        ({}, "HOST.Example", "host.example"),
        ({"FELIX_FELIXHOSTNAME": ""}, "n1", "n1"),
    ],
)
def test_the_node_is_named_by_the_environment_else_by_who_starts_it(environ, machine, expected):
    assert Settings(local_sources(environ, machine).sources).node == expected


@pytest.mark.parametrize(("environ", "machine"), [({}, ""), ({"FELIX_FELIXHOSTNAME": "a_b"}, "n1")])
def test_a_name_that_no_node_has_is_told_with_where_to_set_it(environ, machine):
    with pytest.raises(SettingsError, match="set it with --node"):
        local_sources(environ, machine)


def test_unknown_names_give_the_nearest():
    (problem,) = settings(HEALTPORT="1").problems
    assert problem.endswith("there is no parameter HEALTPORT; did you mean HealthPort?")


def test_what_is_remembered_comes_back_and_nonsense_counts_as_nothing(tmp_path):
    kept = Remembered(str(tmp_path))
    assert kept.load() == ()
    told = (Source(Origin.NODE, "FelixConfiguration(node.n1)", {"VXLANPort": "1"}, ("why",)),)
    kept.keep(told)
    kept.keep(told)
    assert Remembered(str(tmp_path)).load() == told
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    for nonsense in (b"{", b"[1]", b"\xff", b'[[99,"","",[]]]'):
        file.write_bytes(nonsense)
        assert kept.load() == ()
    kept.keep(())
    assert kept.load() == ()
    with pytest.raises(OSError, match="none"):
        Remembered(str(tmp_path / "none")).keep(told)


def test_values_that_do_not_go_together_are_not_taken():
    """A mark mask that has no bit for what is switched on: the last good settings stay."""
    found = Settings(local_sources({}, "n1").sources, (), check)
    assert settled(found, felix(vxlan_port=4790)) == {"VXLANPort"}
    key, value = felix(vxlan_port=4791, nftables_mark_mask=0x30000)
    assert settled(found, (key, value)) == frozenset()
    assert any("mark_mask" in problem or "Mask" in problem for problem in found.problems)
    assert found.configuration.vxlan_port == 4790
    with pytest.raises(SettingsError):
        Settings(local_sources({"FELIX_NFTABLESMARKMASK": "0x30000"}, "n1").sources, (), check)


def tables(**variables):
    """The routing tables of WireGuard's two IP versions."""
    found = wireguard_settings(settings(**variables).configuration, Path("/nowhere"))
    return found[4].table, found[6].table


def test_routing_tables_are_taken_from_the_ranges_and_never_the_kernels_own():
    assert tables() == (1, 2)
    assert tables(ROUTETABLERANGE="7-250") == (7, 8)
    assert tables(ROUTETABLERANGES="9-9,252-300") == (9, 252)
    assert tables(ROUTETABLERANGES="252-300") == (252, 256)
    with pytest.raises(ValueError, match="RouteTableRanges: give two routing tables or more"):
        tables(ROUTETABLERANGES="9-9")
