"""Which cloud a machine is of: by its firmware's own words, else by its Node's providerID. Pure,
but for `firmware`, which reads them."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

DMI = Path("/sys/class/dmi/id")
_FIELDS = ("sys_vendor", "bios_vendor", "product_name", "chassis_asset_tag", "board_vendor")
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"  # Azure's own, on all of its machines
_SHOWN = 200  # characters of a field


class Cloud(Enum):
    """Those whose networks differ."""

    AMAZON = "Amazon"
    AZURE = "Azure"
    GOOGLE = "Google"


_SCHEMES = {"aws": Cloud.AMAZON, "azure": Cloud.AZURE, "gce": Cloud.GOOGLE}


def firmware(folder: Path = DMI) -> Mapping[str, str]:
    """What the firmware says of its maker, by the kernel's names; without what it does not say."""
    found = {}
    for name in _FIELDS:
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found[name] = text.strip()[:_SHOWN]
    return found


def cloud_of(said: Mapping[str, str], provider_id: str = "") -> Cloud | None:
    """The cloud; None: none of these, or nobody says so."""
    vendors = " ".join(said.get(name, "") for name in ("sys_vendor", "bios_vendor", "board_vendor"))
    if "Amazon EC2" in vendors or "amazon" in said.get("bios_vendor", "").lower():
        return Cloud.AMAZON
    if said.get("chassis_asset_tag") == _AZURE_TAG:
        return Cloud.AZURE
    if said.get("product_name") == "Google Compute Engine":
        return Cloud.GOOGLE
    return _SCHEMES.get(provider_id.partition("://")[0])
