"""Which cloud a machine is of, and what of its pools can't work there."""

from pathlib import Path

import pytest

from tortie.api import IPPool, IPPoolSpec, Key, ObjectMeta
from tortie.cloud.advice import warnings
from tortie.cloud.detect import Cloud, cloud_of, firmware
from tortie.cloud.watching import PoolWatch


@pytest.mark.parametrize(
    ("said", "provider", "cloud"),
    [
        ({"sys_vendor": "Amazon EC2", "product_name": "m5.large"}, "", Cloud.AMAZON),
        ({"sys_vendor": "Xen", "bios_vendor": "4.11.amazon"}, "", Cloud.AMAZON),
        ({"sys_vendor": "Google", "product_name": "Google Compute Engine"}, "", Cloud.GOOGLE),
        (
            {
                "sys_vendor": "Microsoft Corporation",
                "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77",
            },
            "",
            Cloud.AZURE,
        ),
        ({"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"}, "", None),
        ({"sys_vendor": "QEMU"}, "", None),
        ({}, "aws:///eu-west-1a/i-0abc", Cloud.AMAZON),
        ({}, "azure:///subscriptions/x", Cloud.AZURE),
        ({}, "gce://project/zone/name", Cloud.GOOGLE),
        ({}, "kind://docker/kind/n1", None),
        ({}, "", None),
    ],
)
def test_the_cloud_is_told_by_the_firmware_or_kubernetes(
    said: dict[str, str], provider: str, cloud: Cloud | None
) -> None:
    assert cloud_of(said, provider) is cloud


def test_firmware_that_says_little_or_nonsense_is_no_trouble(tmp_path: Path) -> None:
    assert firmware(tmp_path / "none") == {}
    (tmp_path / "sys_vendor").write_bytes(b"Amazon EC2\n\xff" + b"x" * 1000)
    found = firmware(tmp_path)
    assert found["sys_vendor"].startswith("Amazon EC2")
    assert len(found["sys_vendor"]) == 200


def pool(**spec: object) -> IPPool:
    return IPPool(metadata=ObjectMeta(name="p"), spec=IPPoolSpec(cidr="10.0.0.0/16", **spec))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cloud", "found", "setting", "told"),
    [
        (Cloud.AZURE, pool(ipip_mode="Always"), "DoNothing", "drops IP-in-IP"),
        (Cloud.AZURE, pool(ipip_mode="CrossSubnet"), "DoNothing", "drops IP-in-IP"),
        (Cloud.AZURE, pool(), "DoNothing", "without encapsulation between nodes: Azure"),
        (Cloud.AZURE, pool(vxlan_mode="Always"), "DoNothing", ""),
        (Cloud.AMAZON, pool(ipip_mode="Always"), "DoNothing", ""),
        (Cloud.AMAZON, pool(ipip_mode="CrossSubnet"), "DoNothing", "set awsSrcDstCheck to Disable"),
        (Cloud.AMAZON, pool(vxlan_mode="CrossSubnet"), "Enable", "nodes of one subnet: Amazon"),
        (Cloud.AMAZON, pool(vxlan_mode="CrossSubnet"), "Disable", ""),
        (Cloud.AMAZON, pool(), "Disable", ""),
        (Cloud.GOOGLE, pool(), "Disable", "canIpForward"),
        (Cloud.GOOGLE, pool(ipip_mode="Always"), "DoNothing", ""),
        (Cloud.GOOGLE, pool(allowed_uses=("LoadBalancer",)), "DoNothing", ""),
        (
            Cloud.GOOGLE,
            IPPool(metadata=ObjectMeta(name="p"), spec=IPPoolSpec(cidr="?")),
            "DoNothing",
            "",
        ),
    ],
)
def test_what_a_cloud_drops_is_said_with_what_to_do(
    cloud: Cloud, found: IPPool, setting: str, told: str
) -> None:
    lines = warnings(cloud, [found], setting)
    assert len(lines) == bool(told)
    assert all(line.startswith("IPPool p: ") and told in line for line in lines)


def test_advice_is_given_once_while_it_holds() -> None:
    told: list[str] = []
    watch = PoolWatch(told.append)
    key = Key("IPPool", "", "p")
    watch.saw([(key, pool(ipip_mode="Always"))])
    assert told == []
    watch.found(Cloud.AZURE)
    watch.saw([(key, pool(ipip_mode="Always", nat_outgoing=True))])
    assert len(told) == 1
    watch.saw([(key, pool(vxlan_mode="Always"))])
    watch.saw([(key, None)])
    watch.saw([(key, pool(ipip_mode="Always"))])
    assert len(told) == 2
