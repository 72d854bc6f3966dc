"""`tortie node status` as a person reads it: 80 columns, whatever the addresses."""

import argparse
import json

import pytest

from tortie.cli.commands import node_status

_LONG = "fd00:1111:2222:3333:4444:5555:6666:7777"
_SESSION = {
    "name": "Mesh",
    "peer": "172.16.0.2",
    "port": 179,
    "ip_version": 4,
    "peer_as": 4294967295,
    "local_as": 64512,
    "type": "NodeMesh",
    "from_resource": "mesh with beta",
    "node": "beta",
    "state": "Established",
    "since": "2026-11-21 08:27:32.123",
    "reason": "",
    "imported": 1,
    "exported": 2,
    "passive": False,
    "password": False,
    "bfd": False,
}
_DOWN = {
    **_SESSION,
    "peer": _LONG,
    "port": 1179,
    "state": "Connect",
    "from_resource": "BGPPeer(a-router-with-quite-a-name)",
    "reason": "no answer: unreachable, or it has no password or another one",
}
_ROUTE = {
    "destination": f"{_LONG}/128",
    "kind": "unicast",
    "best": True,
    "gateways": [_LONG],
    "interfaces": ["eth0"],
    "source": "NodeMesh",
    "peer": _LONG,
}


def status(*sessions: dict[str, object], running: bool = True, outage: str = "") -> object:
    said = {"version": "2.0.12", "router_id": "172.16.0.1", "booted": "2026-11-21 08:27:31.1"}
    return {
        "ok": True,
        "node": "alpha",
        "bird": {"running": running, "away": "no such file", "said": said if running else {}},
        "in_sync": True,
        "outage": outage,
        "problems": ["BGPFilter(x): there is no such filter; " + "peers " * 30],
        "sessions": sessions,
    }


def shown(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: object,
    *words: str,
) -> tuple[int, str]:
    answers = {"status": answer, "routes": {"routes": [_ROUTE, {**_ROUTE, "best": False}]}}
    monkeypatch.setattr(node_status, "ask", lambda _path, verb, _daemon: answers[verb])
    parser = argparse.ArgumentParser()
    node_status.arguments(parser)
    code = node_status.run(parser.parse_args(words))
    return code, capsys.readouterr().out


def test_it_fits_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = shown(capsys, monkeypatch, status(_SESSION, _DOWN), "--routes")
    assert code == 1
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert "1 of 2 sessions up" in text
    assert "BGPPeer(a-router-with-quite-a-name): no answer" in text
    assert text.count(f"{_LONG}/128") == 1  # only the route in use
    assert "problems:\n  BGPFilter(x): there is no such filter; " in text


def test_all_up_is_status_0_and_no_bird_is_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(capsys, monkeypatch, status(_SESSION))[0] == 0
    code, text = shown(capsys, monkeypatch, status(running=False), "--routes")
    assert code == 1
    assert "does not answer: no such file" in text
    assert "away" in shown(capsys, monkeypatch, status(_SESSION, outage="etcd is away"))[1]


def test_json_is_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = shown(capsys, monkeypatch, status(_DOWN), "-o", "json", "--routes")
    found = json.loads(text)
    assert "ok" not in found  # which says that the daemon answered, not how its BGP is
    assert found["sessions"][0]["reason"] == _DOWN["reason"]
    assert found["routes"][0]["gateways"] == [_LONG]
