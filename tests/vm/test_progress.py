"""What is known of a guest whose time was over before its tests."""

from pathlib import Path

import pytest

from vm import progress
from vm.__main__ import unfinished
from vm.kernel import TooSlow
from vm.progress import FAILED, OVER, Progress


def test_what_failed_and_what_had_not_ended_is_known(tmp_path: Path) -> None:
    progress.chosen(["a.py::one", "a.py::two[x y]", "a.py::three"], tmp_path)
    progress.note(FAILED, "a.py::two[x y]", tmp_path)
    progress.note(OVER, "a.py::two[x y]", tmp_path)
    progress.note(OVER, "a.py::one", tmp_path)
    assert progress.read(tmp_path) == Progress(("a.py::two[x y]",), ("a.py::three",), 3)


def test_nothing_of_an_earlier_run_counts(tmp_path: Path) -> None:
    progress.chosen(["a.py::one"], tmp_path)
    progress.note(FAILED, "a.py::one", tmp_path)
    progress.forget(tmp_path)
    assert progress.read(tmp_path) == Progress()


def test_a_slow_machine_is_told_what_was_left_and_is_no_failure() -> None:
    with pytest.raises(TooSlow, match=r"1 of 3 tests were left: a.py::three"):
        unfinished(Progress((), ("a.py::three",), 3), "vm: up", 480)


def test_a_test_that_failed_before_the_time_was_over_is_a_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert unfinished(Progress(("a.py::two",), ("a.py::three",), 3), "vm: up", 480) == 1
    assert "a.py::two" in capsys.readouterr().err
