"""`tortie node check`: its table, its JSON, its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from requirements.planted import running
from tortie.requirements.machine import Machine
from tortie.requirements.model import Verdict
from tortie.requirements.modes import Dataplane, Encap, Modes, encaps_of_pools, parse_encaps
from tortie.requirements.report import data, lines
from tortie.requirements.running import Report, judged, trials_of
from tortie.requirements.tried import WORKS, Outcome, Tried

LACKS_IPIP = Tried(Outcome.LACKING, "creating ipip tunl0: Unknown device type (ENOTSUP)")
QUIET = {
    **running("containerd"),
    "opt/cni/bin/calico": "",
    "etc/cni/net.d/10-calico.conflist": '{"type":"calico"}',
    "proc/sys/net/ipv4/ip_forward": "1\n",
    "proc/sys/kernel/osrelease": "6.1.0\n",
}


def report(modes: Modes, root: Path, **changed: Tried) -> Report:
    tried = dict.fromkeys(trials_of(modes), WORKS)
    tried |= {name: one for name in tried for word, one in changed.items() if word in name}
    return judged(Machine(modes, root, tried))


def verdict_of(found: Report, row: str, what: str) -> Verdict:
    return next(
        one.finding.verdict for one in found if (one.check.row, one.check.what) == (row, what)
    )


IPIP = Modes(encaps=frozenset({Encap.IPIP}))


def test_a_missing_module_is_an_error_only_where_it_is_used(tmp_path: Path) -> None:
    using = report(IPIP, tmp_path, ipip=LACKS_IPIP)
    assert verdict_of(using, "L5", "IPIP device") is Verdict.MISSING
    assert using.status == 1
    other = report(Modes(), tmp_path, ipip=LACKS_IPIP)
    assert verdict_of(other, "L5", "IPIP device") is Verdict.UNNEEDED
    assert other.status == 3  # a folder without a single file has warnings


def test_what_is_not_needed_is_not_tried() -> None:
    assert "link:ipip" not in trials_of(Modes())
    assert "link:ipip" in trials_of(IPIP)
    assert not any(name.startswith(("xt:", "bpf:")) for name in trials_of(Modes()))
    assert any(name.startswith("xt:") for name in trials_of(Modes(dataplane=Dataplane.IPTABLES)))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_fits(width: int, tmp_path: Path) -> None:
    found = report(
        IPIP, tmp_path, ipip=LACKS_IPIP, tracking=Tried(Outcome.FORBIDDEN, "needs CAP_X")
    )
    text = list(lines(found, IPIP._replace(assumed=True), width, with_all=True))
    assert max(map(len, text)) <= width
    assert any("do: load its modules (`modprobe ipip`" in line for line in text)


def test_the_table_tells_every_row_or_names_it_at_its_end(tmp_path: Path) -> None:
    found = report(Modes(), tmp_path)
    words = " ".join(" ".join(lines(found, Modes(), 80, with_all=False)).split())
    for one in found:
        assert one.check.row in words
    assert "not needed for these modes: K1 etcd" in words
    assert "documented only: N6 host firewall" in words


def test_json_has_the_same(tmp_path: Path) -> None:
    found = report(IPIP, tmp_path, ipip=LACKS_IPIP)
    told = data(found, IPIP)
    assert told["status"] == 1
    assert told["modes"]["encap"] == ["ipip"]
    row = next(one for one in told["rows"] if one["what"] == "IPIP device")
    assert (row["row"], row["verdict"], row["neededFor"]) == ("L5", "missing", "--encap ipip")
    assert "Unknown device type" in row["found"]
    assert "modprobe ipip" in row["fix"]
    assert len(told["rows"]) == len(found)


@pytest.mark.parametrize(
    ("pools", "wireguard", "found"),
    [
        ([], False, set()),
        ([("Always", "")], False, {Encap.IPIP, Encap.BGP}),
        ([("Never", "CrossSubnet")], False, {Encap.VXLAN}),
        ([("", ""), ("Never", "Never")], False, {Encap.BGP}),
        ([("CrossSubnet", ""), ("", "Always")], True, set(Encap) - {Encap.NONE, Encap.FLANNEL}),
    ],
)
def test_ways_between_nodes_follow_from_pools(
    pools: list[tuple[str, str]], wireguard: bool, found: set[Encap]
) -> None:
    assert encaps_of_pools(pools, wireguard) == found


@pytest.mark.parametrize("text", ["", "ipip,", "gre", "none,vxlan"])
def test_other_words_for_ways_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"there are|alone"):
        parse_encaps(text)


def run(*words: str, root: Path | None = None) -> subprocess.CompletedProcess[str]:
    place = ["--root", str(root)] if root else []
    command = [sys.executable, "-m", "tortie.cli", "node", *words, "--datastore", "memory:", *place]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.root
def test_the_command_tells_by_its_status_what_was_found(tmp_path: Path) -> None:
    for name, text in QUIET.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    tools = {
        "iptables": "v1.8.9",
        "ip6tables": "v1.8.9",
        "ipset": "v7.17",
        "conntrack": "v1.4.7",
        "nft": "v1.0.6",
        "ip": "6.1.0",
    }
    (tmp_path / "usr/sbin").mkdir(parents=True)
    for name, version in tools.items():
        (tmp_path / "usr/sbin" / name).write_text(f"#!/bin/sh\necho {name} {version}\n")
        (tmp_path / "usr/sbin" / name).chmod(0o755)
    good = run("check", "--for", "hosts", "--encap", "none", root=tmp_path)
    assert (good.returncode, good.stderr) == (0, ""), good.stdout
    (tmp_path / "usr/sbin/conntrack").unlink()
    warned = run("checksystem", "--for", "hosts", "--encap", "none", root=tmp_path)
    assert warned.returncode == 3, warned.stdout
    (tmp_path / "proc/sys/kernel/osrelease").write_text("2.6.32\n")
    lacking = run("check", "--for", "hosts", "--encap", "none", "-o", "json", root=tmp_path)
    assert lacking.returncode == 1
    rows = {one["what"]: one["verdict"] for one in json.loads(lacking.stdout)["rows"]}
    assert (rows["kernel"], rows["tools"], rows["nftables"]) == ("missing", "warning", "ok")


@pytest.mark.root
def test_without_rights_it_reports_what_it_can(tmp_path: Path) -> None:
    command = ["setpriv", "--bounding-set", "-net_admin,-sys_admin", sys.executable, "-m"]
    command += ["tortie.cli", "node", "check", "--datastore", "memory:", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    rows = {one["what"]: one for one in json.loads(done.stdout)["rows"]}
    assert rows["rights"]["verdict"] == "missing"
    assert "CAP_NET_ADMIN, CAP_SYS_ADMIN" in rows["rights"]["found"]
    assert rows["nftables"]["verdict"] == "ok"  # in a user namespace
    assert rows["one iptables"]["verdict"] == "warning"
    assert "can't be read" in rows["one iptables"]["found"]


@pytest.mark.root
def test_fix_writes_networkmanagers_file_and_nothing_is_written_without_it(tmp_path: Path) -> None:
    (tmp_path / "etc/NetworkManager").mkdir(parents=True)
    written = tmp_path / "etc/NetworkManager/conf.d/calico.conf"
    run("check", "--for", "hosts", "--encap", "none", root=tmp_path)
    assert not written.exists()
    done = run("check", "--for", "hosts", "--encap", "none", "--fix", root=tmp_path)
    assert "interface-name:cali*" in written.read_text()
    assert f"wrote {written}" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check", "--encap", "gre"), "'gre' is no way between nodes"),
        (("check", "--root", "/nonexistent"), "there is no such folder"),
        (("check", "--peer", "192.0.2.1"), "give the key that the listener shows"),
    ],
)
def test_mistakes_are_told_in_one_line(words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef0123")
    key.chmod(0o644)
    done = run("check", "--peer", "192.0.2.1", "--key-file", str(key))
    assert done.returncode == 1
    assert "others may read this key" in done.stderr
