"""Limits of traffic and DSCP: what can be programmed, and what is said of the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.api import Key, ObjectMeta
from tortie.api.calico.host_endpoint import HostEndpoint, HostEndpointSpec
from tortie.api.calico.workload_endpoint import QosControls
from tortie.engine import Engine
from tortie.engine.limits import dscp_number, programmable
from tortie.kubernetes.qos import DIRECTIONS, LIMITS

KEY = Key("WorkloadEndpoint", "shop", "w1")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *[(0, 0), (63, 63), ("46", 46), ("DF", 0), ("ef", 46), ("CS0", 0), ("cs6", 48)],
        *[("AF11", 10), ("AF13", 14), ("AF21", 18), ("AF43", 38), ("CS5", 40)],
    ],
)
def test_classes_are_numbers(value: int | str, number: int):
    assert dscp_number(value) == number


@pytest.mark.parametrize("value", [64, -1, "AF44", "AF", "", "x", "1.5"])
def test_what_is_no_class_is_refused(value: int | str):
    with pytest.raises(ValueError, match="DSCP"):
        dscp_number(value)


@pytest.mark.parametrize(
    ("given", "kept", "said"),
    [
        ({"ingress_bandwidth": 8000, "dscp": "AF11"}, {"ingress_bandwidth": 8000, "dscp": 10}, ""),
        ({"ingress_bandwidth": 0}, {}, ""),
        ({"egress_bandwidth": -5}, {"egress_bandwidth": 1000}, "egressBandwidth: -5 is out of"),
        ({"ingress_packet_rate": 10**9}, {"ingress_packet_rate": 10_000}, "ingressPacketRate"),
        ({"ingress_packet_burst": 9}, {}, "means nothing without packet rate"),
        (
            {"ingress_bandwidth": 2000, "ingress_peakrate": 2000},
            {"ingress_bandwidth": 2000},
            "ingressPeakrate: 2000 is not above the bandwidth, 2000",
        ),
        ({"dscp": "AF44"}, {}, "spec.qosControls.dscp: 'AF44' is no DSCP"),
        ({"dscp": 99}, {}, "spec.qosControls.dscp: 99 is no DSCP"),
    ],
)
def test_what_can_not_be_used_is_named_and_the_rest_holds(given, kept, said):
    warnings: list[str] = []
    assert programmable(KEY, QosControls(**given), warnings.append) == QosControls(**kept)
    assert len(warnings) == bool(said)
    assert all(said in one and "shop/w1" in one for one in warnings)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            f"{direction}_{limit.field}": st.integers(-(2**40), 2**63)
            for direction in DIRECTIONS
            for limit in LIMITS
        },
    )
)
def test_whatever_is_written_comes_out_within_its_range(fields: dict[str, int]):
    found = programmable(KEY, QosControls(**fields), lambda _: None)
    for direction in DIRECTIONS:
        for limit in LIMITS:
            value = getattr(found, f"{direction}_{limit.field}")
            assert value is None or limit.least <= value <= limit.most
        peak = getattr(found, f"{direction}_peakrate")
        assert peak is None or peak > getattr(found, f"{direction}_bandwidth")
    assert programmable(KEY, found, lambda _: None) == found


@pytest.mark.parametrize(
    ("text", "number", "warned"), [("cs5", 40, 0), ("20", 20, 0), ("", None, 0), ("AF99", None, 1)]
)
def test_a_host_endpoints_class_is_an_annotation(text: str, number: int | None, warned: int):
    engine = Engine("n1")
    meta = ObjectMeta(name="n1-eth0", annotations={"qos.projectcalico.org/dscp": text})
    spec = HostEndpointSpec(node="n1", interface_name="eth0")
    endpoint = HostEndpoint(metadata=meta, spec=spec)
    (found,) = engine.apply([(endpoint.key, endpoint)]).host_endpoints.values()
    assert found.dscp == number
    assert len(engine.warnings()) == warned
