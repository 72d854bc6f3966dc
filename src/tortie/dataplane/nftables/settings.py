"""What an operator can choose about the nftables dataplane, checked before any of it is text."""

from typing import ClassVar

from tortie.dataplane.policy.settings import PolicySettings


class NftSettings(PolicySettings, frozen=True):
    """The settings of every policy driver; `mark_mask` is [NftablesMarkMask] here.

    `coalesce`: neighbouring rules that do the same become one look-up, with one counter for all.
    Raises ValueError where a value can't be used.
    """

    mask_name: ClassVar[str] = "NftablesMarkMask"

    coalesce: bool = True
