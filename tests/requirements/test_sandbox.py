"""Things are really tried: there, and taken away by other rights, another kernel or place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tortie.requirements.modes import Dataplane, Encap, Modes, Purpose
from tortie.requirements.running import trials_of
from tortie.requirements.sandbox import tried
from tortie.requirements.trials.bpf import NAMES as BPF
from tortie.requirements.tried import Outcome, Tried
from vm.features import missing

pytestmark = pytest.mark.root

EVERYWHERE = frozenset(Encap) - {Encap.NONE}
MODES = [
    Modes(Purpose.KUBERNETES, dataplane, EVERYWHERE, "kubernetes", ipvs=True)
    for dataplane in Dataplane
]
EVERYTHING = list(dict.fromkeys(name for modes in MODES for name in trials_of(modes)))
# What a kernel may lack, by the words in a trial's name: the module that it needs.
OPTIONAL = {"link:ipip": "ipip", "link:wireguard": "wireguard", "ipvs": "ip_vs"}
WITHOUT = ["setpriv", "--bounding-set", "-net_admin,-sys_admin", "--inh-caps", "-all"]
NO_NAMESPACES = "echo 0 > /proc/sys/user/max_user_namespaces && exec "
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
FEW = ["link:veth", "nft:4:fib", "ipset:hash:net", "tracking:conntrack", "bpf:map:hash"]


def try_as(prefix: list[str], names: list[str], python: str = sys.executable) -> dict[str, Tried]:
    """What came of it for a process with other rights."""
    code = (
        "import json, sys; from tortie.requirements.sandbox import tried;"
        "json.dump(tried(json.loads(sys.argv[1])), sys.stdout)"
    )
    command = [*prefix, python, "-c", code, json.dumps(names)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=ENVIRONMENT, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return {name: Tried(Outcome(one[0]), one[1]) for name, one in json.loads(done.stdout).items()}


def test_everything_works_but_what_this_kernel_lacks() -> None:
    wanted = {name for name in EVERYTHING if not any(word in name for word in OPTIONAL)}
    found = tried(EVERYTHING)
    assert {name: one for name, one in found.items() if name in wanted and not one.works} == {}
    assert set(found) == set(EVERYTHING)


@pytest.mark.parametrize(("words", "module"), OPTIONAL.items())
def test_a_module_that_is_missing_is_told(words: str, module: str) -> None:
    if not missing((module,)):
        pytest.skip(f"this kernel has {module}: `make test-vm` tries the other way")
    names = [name for name in EVERYTHING if words in name]
    assert {one.outcome for one in tried(names).values()} == {Outcome.LACKING}


@pytest.mark.vm("ipip", "wireguard", "ip_vs")
def test_a_module_that_is_there_is_found() -> None:
    names = [name for name in EVERYTHING if any(word in name for word in OPTIONAL)]
    assert {name: one for name, one in tried(names).items() if not one.works} == {}


@pytest.mark.vm("ipip")
def test_a_module_that_a_trial_loaded_leaves_no_device() -> None:
    if not os.environ.get("TORTIE_IN_VM"):
        pytest.skip("loads a kernel module: only in the virtual machine")
    subprocess.run(["modprobe", "-r", "ipip"], check=True)
    assert not Path("/sys/class/net/tunl0").exists()
    assert tried(["link:ipip"])["link:ipip"].works
    assert not Path("/sys/class/net/tunl0").exists()
    assert not Path("/sys/module/ipip").exists()


@pytest.mark.vm("ipip")
def test_a_module_that_was_loaded_before_keeps_its_device() -> None:
    if not os.environ.get("TORTIE_IN_VM"):
        pytest.skip("needs a kernel module loaded: only in the virtual machine")
    subprocess.run(["modprobe", "ipip"], check=True)
    assert tried(["link:ipip"])["link:ipip"].works
    assert Path("/sys/class/net/tunl0").exists()


def test_without_capabilities_a_user_namespace_serves() -> None:
    found = try_as(WITHOUT, FEW)
    assert [name for name in FEW if found[name].works] == FEW[:4]
    assert found["bpf:map:hash"] == Tried(
        Outcome.FORBIDDEN, "needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, to be tried"
    )


def test_without_any_namespace_it_says_which_capability_is_missing() -> None:
    code = shutil.which("setpriv"), " ".join(WITHOUT[1:])
    script = f'{NO_NAMESPACES}{code[0]} {code[1]} "$@"'
    found = try_as(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"], FEW)
    assert {one.outcome for one in found.values()} == {Outcome.FORBIDDEN}
    assert {one.words for one in found.values()} == {
        "needs CAP_SYS_ADMIN and CAP_NET_ADMIN to be tried (user namespaces are not allowed)"
    }


NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def test_without_root_it_is_tried_all_the_same() -> None:
    found = try_as(NOBODY, FEW[:2], _everybodys_python())
    assert all(one.works for one in found.values()), found


def _everybodys_python() -> str:
    """An interpreter that others than root may start, with our packages."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [*NOBODY, "env", python, "-c", "import msgspec, tortie"]
        if not subprocess.run(
            command, capture_output=True, env=ENVIRONMENT, check=False
        ).returncode:
            return python
    pytest.skip("others than root can't start a Python with our packages here")


def test_a_tool_that_is_missing_is_told() -> None:
    hidden = "mount -t tmpfs none /usr/sbin && mount -t tmpfs none /sbin; exec "
    private = ["unshare", "-m", "--propagation", "private", "sh", "-c", hidden + '"$@"', "sh"]
    found = try_as(private, ["ipset:hash:net", "xt:nft:4:match tcp", "link:veth"])
    assert found["ipset:hash:net"].outcome is Outcome.LACKING
    assert "install the package ipset" in found["ipset:hash:net"].words
    assert "install the package iptables" in found["xt:nft:4:match tcp"].words
    assert found["link:veth"].works


def test_bpf_is_tried_piece_by_piece() -> None:
    found = tried(BPF)
    assert len(found) == len(BPF) > 15
    assert all(one.outcome in (Outcome.WORKS, Outcome.LACKING) for one in found.values())


def test_a_process_that_ends_without_an_answer_is_no_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    found = tried(["link:veth"])["link:veth"]
    assert found.outcome is Outcome.FORBIDDEN
    assert "could not be tried" in found.words


def test_nothing_to_try_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert tried([]) == {}
