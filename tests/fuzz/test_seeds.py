"""Every input that fuzzing once broke something with, and those that it begins with."""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from fuzz.bounds import TooSlow, bounded
from fuzz.targets import NAMES, Broken, load

ROOT = Path(__file__).parent.parent.parent
SEEDS = Path(__file__).parent / "seeds"
STRUCTURED = ("manifests", "stored", "conversion")


def test_every_folder_of_seeds_is_of_a_target():
    assert {folder.name for folder in SEEDS.iterdir()} <= set(NAMES)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(folder.name for folder in SEEDS.iterdir()))
def test_what_fuzzing_found_stays_mended(name):
    """In a process of its own, whose memory is bounded."""
    paths = sorted((SEEDS / name).iterdir())
    assert paths
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.replay", name, *map(str, paths)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_fuzzing_begins_with_inputs_that_keep_all_promises(name):
    target = load(name)
    starts = list(target.starts())
    assert starts
    for data in starts:
        assert len(data) <= target.size
        target.check(data)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", STRUCTURED)
def test_changed_inputs_keep_all_promises(name):
    target, random = load(name), Random(1)
    starts = list(target.starts())
    seen = set()
    for _ in range(150):
        data = target.mutate(random.choice(starts), random)
        seen.add(data)
        target.check(data)
    assert len(seen) > 100


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff\xfe", b"NetworkPolicy\n{}", b"[" * 5000])
def test_any_bytes_are_an_input(name, data):
    load(name).check(data)


@pytest.mark.parametrize("name", STRUCTURED)
def test_any_bytes_can_be_changed(name):
    target = load(name)
    for seed, data in enumerate([b"", b"\xff", b"Pod\n", b"Pod\n[[", b"- a\n- b: [", b"{" * 3000]):
        assert isinstance(target.mutate(data, Random(seed)), bytes)


def test_what_costs_more_than_its_length_explains_is_a_finding(monkeypatch):
    ticks = iter([0.0, 3.0, 0.0, 3.0])
    monkeypatch.setattr("fuzz.bounds.process_time", lambda: next(ticks))
    bounded(len, b"x" * 100_000)
    with pytest.raises(TooSlow, match="took 3"):
        bounded(len, b"x")


def test_a_broken_promise_ends_a_replay_with_its_name(tmp_path, monkeypatch, capfd):
    from fuzz import replay, targets

    def check(data):
        raise Broken(f"no such luck with {data!r}")

    monkeypatch.setattr(replay, "load", lambda _: targets.Target(check, list))
    monkeypatch.setattr(replay.resource, "setrlimit", lambda *_: None)
    path = tmp_path / "input"
    path.write_bytes(b"x")
    monkeypatch.setattr(sys, "argv", ["replay", "ports", str(path)])
    assert replay.main() == 1
    said = capfd.readouterr()
    assert str(path) in said.out
    assert "no such luck" in said.err
