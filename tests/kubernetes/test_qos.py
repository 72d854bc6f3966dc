"""Limits of a pod's traffic, from its annotations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.api.calico.workload_endpoint import QosControls
from tortie.kubernetes.qos import LIMITS, qos_controls, quantity

PREFIX = "qos.projectcalico.org/"


def controls(**annotations):
    """The limits and how many warnings there were."""
    warnings = []
    named = {f"{PREFIX}{name}": value for name, value in annotations.items()}
    return qos_controls(named, warnings), len(warnings)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("1k", 1000),
        ("1.5M", 1_500_000),
        ("1Ki", 1024),
        ("4Gi", 2**32),
        ("1e3", 1000),
        ("1E", 10**18),
        ("1500m", 2),
        (".5k", 500),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text, value):
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "k", "-1", "1 k", "1K", "1e999999999", "١", "1\n", "0x10"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)


@given(st.from_regex(r"[0-9]{1,4}(\.[0-9]{0,3})?", fullmatch=True))
def test_suffixes_are_powers(number):
    assert quantity(f"{number}k") == quantity(f"{number}e3")
    assert quantity(f"{number}Mi") <= quantity(f"{number}Ki") * 1024


@given(st.text() | st.from_regex(r"[0-9.]*[eEnumkMGTPi+-]*[0-9]*", fullmatch=True))
def test_any_text_is_read_or_left_out_with_a_warning(text):
    warnings = []
    found = qos_controls({f"{PREFIX}ingressBandwidth": text}, warnings)
    assert found is not None or warnings


def test_no_annotation_is_no_limit():
    assert controls() == (None, 0)


def test_bandwidth_brings_a_burst_and_packets_bring_theirs():
    assert controls(ingressBandwidth="10M", egressPacketRate="100") == (
        QosControls(
            ingress_bandwidth=10_000_000,
            ingress_burst=2**32,
            egress_packet_rate=100,
            egress_packet_burst=5,
        ),
        0,
    )


def test_kubernetes_own_annotation_serves_where_there_is_no_other():
    warnings = []
    own = {"kubernetes.io/egress-bandwidth": "1M"}
    assert qos_controls(own, warnings).egress_bandwidth == 1_000_000
    both = {**own, f"{PREFIX}egressBandwidth": "2M"}
    assert qos_controls(both, warnings).egress_bandwidth == 2_000_000
    assert warnings == []


@pytest.mark.parametrize("limit", [each for each in LIMITS if not each.needs])
def test_a_value_out_of_range_is_set_to_its_end(limit):
    for value, used in (("0", limit.least), (f"{limit.most + 1}", limit.most)):
        found, warned = controls(**{f"ingress{limit.annotation}": value})
        assert getattr(found, f"ingress_{limit.field}") == used
        assert warned == 1


@pytest.mark.parametrize("limit", [each for each in LIMITS if each.needs])
def test_a_limit_that_needs_another_is_nothing_alone(limit):
    assert controls(**{f"egress{limit.annotation}": "2k"}) == (None, 1)


@pytest.mark.parametrize(
    ("text", "value"), [("46", 46), ("EF", "EF"), ("AF44", None), ("64", None)]
)
def test_a_dscp_is_a_number_or_a_class(text, value):
    found, warned = controls(dscp=text)
    assert (found.dscp if found else None) == value
    assert warned == (value is None)
