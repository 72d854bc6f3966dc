"""An agent's settings from a real datastore: who wins, what takes effect when, what is refused."""

import json
import os
import sqlite3
import subprocess
import sys

import msgspec
import pytest

from agent.test_process import only_port, page
from cni.node import BOUND, until
from cni.traffic import Flow, reaches
from tortie.api import Key, ObjectMeta
from tortie.api.calico.felix.dataplane import ProtoPort
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.api.calico.host_endpoint import HostEndpoint, HostEndpointSpec
from tortie.datastore import AlreadyExists
from tortie.kubernetes import interface_name

pytestmark = pytest.mark.root


def felix(name="default", selector="", **spec):
    return FelixConfiguration(
        metadata=ObjectMeta(name=name),
        spec=FelixConfigurationSpec(node_selector=selector, **spec),
    )


def say(node, configuration):
    """Put a FelixConfiguration there, whatever stood there."""

    async def work(store):
        try:
            return await store.create(configuration)
        except AlreadyExists:
            there = await store.get(configuration.key)
            fresh = msgspec.structs.replace(configuration, metadata=there.metadata)
            return await store.update(fresh)

    return int(node.store(work).metadata.resource_version)


def said(node):
    """Which parameters are not at their defaults: name → (value, who)."""
    return {one["name"]: (one["value"], one["set_by"]) for one in node.ask("status")["settings"]}


def reaches_host(node, source, attempts=3):
    return reaches(source, (node.netns, "172.31.0.2"), 5353, attempts)


def answers(node, port):
    try:
        return page(node, port, "/readiness")[0] == "HTTP/1.1 200 OK"
    except OSError:
        return False


class Watched:
    """A pair of containers with one port open between them, and what passes meanwhile."""

    def __init__(self, node):
        node.applied(node.put(only_port(5000)))
        self.client = node.attach("client", app="client")
        self.server = node.attach("server", app="server")
        until(lambda: reaches(self.client, self.server, 5000), "the allowed packets")
        self.allowed = Flow(self.client, self.server, 5000)
        self.denied = Flow(self.client, self.server, 5001)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.allowed.stop()
        self.denied.stop()
        if kind is None:
            assert self.allowed.sent > 100
            assert self.denied.sent > 100
            assert self.allowed.lost == set()
            assert self.denied.arrived == set()


def test_the_most_particular_configuration_wins_and_the_environment_over_all(node):
    node.environ["FELIX_VXLANVNI"] = "1"
    node.environ["FELIX_USAGEREPORTINGINTERVALSECS"] = "9"
    node.put(
        felix(vxlan_vni=2, vxlan_port=2, vxlan_mtu=1302, log_prefix="cluster"),
        felix("zone", "zone == 'a'", vxlan_port=3, vxlan_mtu=1303),
        felix("elsewhere", "zone == 'b'", log_prefix="elsewhere"),
        felix("node.n1", vxlan_mtu=1304),
        felix("node.n2", log_prefix="neighbour"),
    )
    node.start_ready()
    assert said(node)["VXLANPort"] == ("2", "FelixConfiguration(default)")
    node.store(_labelled)
    until(lambda: said(node)["VXLANPort"][0] == "3", "the node's label to count")
    found = said(node)
    assert found["VXLANPort"] == ("3", "FelixConfiguration(zone)")
    assert found["VXLANVNI"] == ("1", "the environment")
    assert found["VXLANMTU"] == ("1304", "FelixConfiguration(node.n1)")
    assert found["LogPrefix"] == ("cluster", "FelixConfiguration(default)")
    assert found["UsageReportingIntervalSecs"] == ("9", "the environment")
    assert "RouteRefreshInterval" not in found
    assert "UsageReportingIntervalSecs has no effect" in node.log.read_text()


def test_live_changes_take_effect_while_policy_holds_without_a_gap(node):
    node.start_ready()
    process = node.ask("status")["process"]
    with Watched(node) as watched:
        assert not reaches_host(node, watched.client, attempts=1)
        node.applied(say(node, felix(default_endpoint_to_host_action="Accept")))
        assert reaches_host(node, watched.client)
        node.applied(say(node, felix("node.n1", default_endpoint_to_host_action="Drop")))
        assert not reaches_host(node, watched.client, attempts=1)
        node.applied(say(node, felix("node.n1", log_severity_screen="Fatal")))
        assert reaches_host(node, watched.client)
        lines = len(node.log.read_text().splitlines())
        node.store(lambda store: store.delete(Key("FelixConfiguration", "", "default")))
        node.applied_all()
        assert not reaches_host(node, watched.client, attempts=1)
        assert len(node.log.read_text().splitlines()) == lines
    assert node.ask("status")["process"] == process
    assert "starting anew" not in node.log.read_text()


def test_failsafe_ports_are_those_that_are_said_last(node):
    """A host endpoint without policy lets in what is failsafe, and nothing else."""
    spec = HostEndpointSpec(node="n1", interface_name="eth0", expected_ips=("172.31.0.2",))
    node.put(HostEndpoint(metadata=ObjectMeta(name="host"), spec=spec))
    node.start_ready()
    default = node.ruleset()
    node.applied(
        say(node, felix(failsafe_inbound_host_ports=(ProtoPort(protocol="UDP", port=5353),)))
    )
    said_so = node.ruleset()
    assert "5353" in said_so
    assert "6443" in said_so  # outbound ones are as they were
    node.applied(say(node, felix()))
    assert node.ruleset() == default


def test_what_needs_a_new_start_gets_one_in_place_without_a_gap_in_policy(node):
    node.start_ready()
    process = node.ask("status")["process"]
    with Watched(node):
        say(node, felix("node.n1", health_port=9199, interface_prefix="cali,tap"))
        until(lambda: answers(node, 9199), "the page on its new port")
        assert not answers(node, 9099)
        until(node.is_ready, "readiness")
        assert node.agent.poll() is None
        assert node.ask("status")["process"] == process
        assert said(node)["InterfacePrefix"] == ("cali,tap", "FelixConfiguration(node.n1)")
        node.attach("later")
    assert node.log.read_text().count("starting anew for settings") == 1
    # The next start has them from its first moment on, and needs no second one.
    node.kill()
    node.start_ready()
    assert answers(node, 9199)
    assert node.log.read_text().count("starting anew for settings") == 1


def test_a_value_that_must_not_be_used_leaves_the_last_good_settings_in_force(node):
    node.put(felix(default_endpoint_to_host_action="Accept", log_prefix="first"))
    node.start_ready()
    with Watched(node) as watched:
        assert reaches_host(node, watched.client)
        node.applied(say(node, felix("node.n1", vxlan_port=4790)))
        bad = felix(default_endpoint_to_host_action="Drop", interface_prefix="a/b", vxlan_vni=7)
        node.applied(say(node, bad))
        until(lambda: node.ask("status")["settings_problems"], "the problem to be told")
        (problem,) = node.ask("status")["settings_problems"]
        assert problem.startswith("FelixConfiguration(default): InterfacePrefix='a/b'")
        assert reaches_host(node, watched.client)
        assert said(node).keys() & {"VXLANPort", "VXLANVNI"} == {"VXLANPort"}
        node.kill()  # and a new start knows the last good ones
        node.start_ready()
        assert reaches_host(node, watched.client)
        assert said(node).keys() & {"VXLANPort", "VXLANVNI"} == {"VXLANPort"}
    _, body = page(node, 9091, "/metrics")
    assert "tortie_settings_problems 1.0" in body
    assert "InterfacePrefix='a/b'" in node.log.read_text()


def test_a_first_start_with_a_value_that_must_not_be_used_ends_in_one_line(node):
    node.put(felix(interface_prefix="a/b"))
    done = subprocess.run(
        node.command(), capture_output=True, text=True, timeout=BOUND, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tortie agent: FelixConfiguration(default): InterfacePrefix='a/b'")
    assert "Traceback" not in done.stderr


def test_a_damaged_configuration_is_no_reason_to_guard_less(node):
    node.put(felix(health_port=9199, default_endpoint_to_host_action="Accept"))
    node.start()
    until(lambda: answers(node, 9199), "the page")
    node.kill()
    with sqlite3.connect(node.database.removeprefix("sqlite:")) as database:
        query = "update objects set value = '{' where kind = 'FelixConfiguration'"
        assert database.execute(query).rowcount == 1
    database.close()
    node.start_ready()
    assert answers(node, 9199)
    assert said(node)["DefaultEndpointToHostAction"][1] == "FelixConfiguration(default)"
    (problem,) = node.ask("status")["settings_problems"]
    assert problem.startswith("FelixConfiguration(default) counts as absent")
    (node.run_dir / "settings.json").unlink()
    node.kill()
    done = subprocess.run(
        node.command(), capture_output=True, text=True, timeout=BOUND, check=False
    )
    assert done.returncode == 1
    assert "FelixConfiguration(default) counts as absent" in done.stderr.splitlines()[-1]


def test_bad_values_that_have_a_default_are_named_and_do_not_stop_anything(node):
    node.environ["FELIX_VXLANPORT"] = "none at all"
    node.environ["FELIX_HEALTPORT"] = "1"
    node.start_ready()
    told = node.ask("status")["settings_problems"]
    assert [one.partition(";")[0] for one in told] == [
        "the environment: there is no parameter HEALTPORT",
        "the environment: VXLANPort='none at all': use a whole number from 1 to 65535",
    ]


def test_a_file_of_settings_counts_below_the_environment_and_one_that_is_none_stops(node, tmp_path):
    file = tmp_path / "felix.cfg"
    file.write_text("[global]\nHealthPort = 9299\nPrometheusMetricsEnabled = false\n")
    command = node.command
    node.command = lambda: command("--config-file", str(file))
    node.start_ready()
    assert answers(node, 9299)
    assert page(node, 9091, "/metrics")[0] == "HTTP/1.1 200 OK"
    node.kill()
    file.write_text("HealthPort = 1\n")
    done = subprocess.run(
        node.command(),
        env={**os.environ, **node.environ},
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(file) in line


async def _labelled(store):
    there = await store.get(Key("Node", "", "n1"))
    metadata = msgspec.structs.replace(there.metadata, labels={"zone": "a"})
    await store.update(msgspec.structs.replace(there, metadata=metadata))


def show(node, *options):
    """What `tortie node settings` says of this agent."""
    command = [sys.executable, "-m", "tortie.cli", "node", "settings"]
    return subprocess.run(
        [*command, "--run-dir", str(node.run_dir), *options],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )


def test_a_command_shows_the_settings_in_force_and_who_set_each(node):
    absent = show(node)
    assert absent.returncode == 1
    assert "is `tortie agent` running" in absent.stderr
    node.environ["FELIX_LOGPREFIX"] = "ours"
    node.start_ready()
    node.applied(say(node, felix(vxlan_mtu=1400, usage_reporting_enabled=False)))
    shown = show(node)
    assert shown.returncode == 0, shown.stderr
    rows = {line.split()[0]: line for line in shown.stdout.splitlines()[1:]}
    assert "ours" in rows["LogPrefix"]
    assert "the environment" in rows["LogPrefix"]
    assert "FelixConfiguration(default)" in rows["VXLANMTU"]
    assert rows["UsageReportingEnabled"].endswith("not used")
    assert "NATPortRange" not in rows
    found = {one["name"]: one for one in json.loads(show(node, "-o", "json").stdout)["settings"]}
    assert found["VXLANMTU"]["value"] == "1400"
    assert found["NATPortRange"] == {
        "name": "NATPortRange",
        "value": "",
        "set_by": "the default",
        "is_set": False,
        "takes_effect": "at once",
    }
    assert "EtcdKeyFile" not in found  # others read it


def test_an_interface_prefix_names_new_workloads(node):
    node.environ["FELIX_INTERFACEPREFIX"] = "tap,cali"
    node.start_ready()
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    node.applied(node.put(only_port(5000)))
    assert reaches(client, server, 5000)
    assert not reaches(client, server, 5001, attempts=1)
    assert interface_name("default", "client", "tap") in node.ruleset()
    assert not node.links()  # that begin with cali
