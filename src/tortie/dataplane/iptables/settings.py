"""What an operator can choose about the iptables dataplane, checked before any of it is text."""

from enum import StrEnum
from typing import ClassVar, NamedTuple

from tortie.dataplane.policy.settings import Action, Marks, PolicySettings

_LOG_PREFIX_ROOM = 29  # the kernel's LOG target keeps no more
_SEPARATOR = ": "


class Backend(StrEnum):
    """Which of the two families of commands: over the kernel's x_tables, or over its nf_tables."""

    LEGACY = "legacy"
    NFT = "nft"


class Scratch(NamedTuple):
    """Bits of the mark that a rule uses while it is matched: all parts so far; this part."""

    so_far: int
    part: int


class IptablesSettings(PolicySettings, frozen=True):
    """The settings of every policy driver, and these (Felix's names in brackets).

    `mark_mask` is [IptablesMarkMask] here, and must have five bits: three for verdicts and two that
    rules use while they are matched. `backend` [IptablesBackend]: None detects it. `lock_seconds`:
    how long to wait for another process that changes rules. `max_set_size` [MaxIpsetSize],
    `filter_allow`, `mangle_allow` [Iptables{Filter,Mangle}AllowAction], `append`: our jumps stand
    behind others' rules [ChainInsertMode].
    Raises ValueError where a value can't be used.
    """

    mask_name: ClassVar[str] = "IptablesMarkMask"

    backend: Backend | None = None
    lock_seconds: int = 10
    max_set_size: int = 1 << 20
    filter_allow: Action = Action.ACCEPT
    mangle_allow: Action = Action.ACCEPT
    append: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.max_set_size <= 1 << 31:
            raise ValueError(f"MaxIpsetSize {self.max_set_size}: give a size from 1 to {1 << 31}")
        if not 1 <= self.lock_seconds <= 3600:
            raise ValueError(f"lock_seconds {self.lock_seconds}: give from 1 to 3600 seconds")

    def _needed_bits(self) -> dict[str, int]:
        return {**super()._needed_bits(), "matches": len(Scratch._fields)}

    @property
    def marks(self) -> Marks:
        """As everywhere, without the two bits that rules use while they are matched."""
        found, scratch = super().marks, self.scratch.so_far | self.scratch.part
        kept = (found.wireguard & ~scratch, found.endpoints & ~scratch)
        return found._replace(wireguard=kept[0], endpoints=kept[1])

    @property
    def scratch(self) -> Scratch:
        """The mask's two highest bits: the lowest ones carry verdicts."""
        high = 1 << self.mark_mask.bit_length() - 1
        return Scratch(high, 1 << (self.mark_mask ^ high).bit_length() - 1)

    @property
    def logged_as(self) -> str:
        """The prefix of logged packets, as long as the kernel keeps it."""
        return self.log_prefix[: _LOG_PREFIX_ROOM - len(_SEPARATOR)] + _SEPARATOR
