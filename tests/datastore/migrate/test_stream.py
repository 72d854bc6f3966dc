"""A file that is not whole, or not as it was written, is never taken for one that is."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.migrations import cluster
from strategies.resources import any_resource
from tortie.api import with_metadata
from tortie.datastore.migrate.stream import BadExport, Reader, Writer


def written(resources):
    file = io.BytesIO()
    writer = Writer(file, "0.1.0", "id")
    for one in resources:
        writer.add(one)
    writer.end()
    return file.getvalue()


def read(data):
    reader = Reader(io.BytesIO(data))
    return [line.resource for line in reader.lines()]


@settings(deadline=None)
@given(st.lists(any_resource(), max_size=4))
def test_what_was_written_is_read(resources):
    named = [with_metadata(one, name=f"n{at}") for at, one in enumerate(resources)]
    assert read(written(named)) == named


WHOLE = written(cluster())
LINES = WHOLE.splitlines(keepends=True)


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_is_cut_anywhere_is_refused(length):
    with pytest.raises(BadExport):
        read(WHOLE[:length])


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at, change):
    with pytest.raises(BadExport):
        read(WHOLE[:at] + bytes([WHOLE[at] ^ change]) + WHOLE[at + 1 :])


def _unknown(line):
    body = json.loads(line)
    body["spec"]["ofTomorrow"] = 1
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "the file is empty"),
        ([b"apiVersion: v1\n"], "line 1: this is no export.*tortie apply"),
        ([LINES[0].replace(b'"format":1', b'"format":9'), *LINES[1:]], "line 1: format 9"),
        ([*LINES[:2], b"{\n", *LINES[2:]], "line 3: no JSON"),
        ([*LINES[:2], b'{"kind":"Tier"}\n'], "line 3: there is no kind"),
        ([*LINES[:2], LINES[2].replace(b'"spec":{', b'"spec":{"order":[],')], "line 3:.*order"),
        ([*LINES[:2], LINES[1], *LINES[2:]], r"line 3: Tier\(security\) is there twice.*line 2"),
        ([LINES[0], _unknown(LINES[1]), *LINES[2:]], "line 2:.*does not know.*0.1.0"),
        ([*LINES[:2], *LINES[3:]], "the end mark says .* objects, and there are"),
        (LINES[:-1], "without its end mark: it is cut off"),
        ([*LINES, LINES[1]], "there is more after the end mark"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(lines, said):
    with pytest.raises(BadExport, match=said):
        read(b"".join(lines))
