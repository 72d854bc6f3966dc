"""All families of trials, and how one list of names is tried."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from tortie.requirements.trials.bpf import try_bpf
from tortie.requirements.trials.devices import try_devices
from tortie.requirements.trials.nft import try_nftables
from tortie.requirements.trials.tracking import try_tracking
from tortie.requirements.trials.xtables import try_iptables, try_sets
from tortie.requirements.tried import Outcome, Tried

_FAMILIES: Mapping[str, Callable[[Sequence[str]], Iterable[tuple[str, Tried]]]] = {
    "link": try_devices,
    "nft": try_nftables,
    "ipset": try_sets,
    "xt": try_iptables,
    "tracking": try_tracking,
    "bpf": try_bpf,
}


def try_all(names: Sequence[str]) -> dict[str, Tried]:
    """What came of each trial, made in the calling thread's network namespace."""
    found: dict[str, Tried] = {}
    for family, attempt in _FAMILIES.items():
        some = [name for name in names if name.partition(":")[0] == family]
        if some:
            found.update(_of_family(attempt, some))
    return found


def _of_family(
    attempt: Callable[[Sequence[str]], Iterable[tuple[str, Tried]]], names: Sequence[str]
) -> dict[str, Tried]:
    """A family that can't even begin, such as without netlink, has none of its things."""
    found: dict[str, Tried] = {}
    try:
        found.update(attempt(names))
    except OSError as error:
        found.update({name: Tried(Outcome.LACKING, str(error)) for name in names})
    return found
