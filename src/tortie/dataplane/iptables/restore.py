"""Edits as the text of one transaction: `iptables-restore` for a table, `ipset restore`. Pure.

iptables-restore takes a table's lines as one step to packets. ipset takes a line after the other;
new contents of a whole set grow in a spare one, which takes the place of the old in one step.
"""

from collections.abc import Container, Iterable, Iterator

from tortie.dataplane.iptables.chains import Chain, comment_of
from tortie.dataplane.iptables.edits import (
    DropChain,
    DropJumps,
    Edit,
    PutChain,
    PutJump,
    PutSet,
    RuleEdit,
    Stand,
    jump_rule,
)
from tortie.dataplane.iptables.names import SetName, spare_name
from tortie.dataplane.iptables.sets import creation

Place = tuple[int, str]  # IP version, table
_RAW_LAST = ("filter", "raw", "mangle", "nat", "security")  # what decides goes first


def by_table(edits: Iterable[Edit]) -> list[tuple[Place, list[RuleEdit]]]:
    """The edits of rules, sorted by the transactions that they need."""
    grouped: dict[Place, list[RuleEdit]] = {}
    for edit in edits:
        if isinstance(edit, PutChain | DropChain | PutJump | DropJumps):
            grouped.setdefault((edit.version, _table_of(edit)), []).append(edit)
    order = {table: place for place, table in enumerate(_RAW_LAST)}
    return sorted(grouped.items(), key=lambda one: (order.get(one[0][1], 9), one[0]))


def _table_of(edit: RuleEdit) -> str:
    match edit:
        case PutChain(chain=chain):
            return chain.table
        case PutJump(jump=jump):
            return jump.table
        case _:
            return edit.table


def table_text(table: str, edits: Iterable[RuleEdit]) -> str:
    """One table's transaction. Of two edits for one chain the later one counts.

    A chain's line makes it or empties it. What goes is emptied like what is written, so that no
    rule names a chain that goes when it does; writing twice comes to the same.
    """
    latest = {_subject(edit): edit for edit in edits}
    chains = [one.chain for one in latest.values() if isinstance(one, PutChain)]
    going = [one.name for one in latest.values() if isinstance(one, DropChain)]
    lines = [f"*{table}"]
    lines += [f":{name} - [0:0]" for name in (*(chain.name for chain in chains), *going)]
    lines += [line for edit in latest.values() for line in _jump_lines(edit)]
    lines += [line for chain in chains for line in _rule_lines(chain)]
    lines += [f"-X {name}" for name in going]
    return "\n".join((*lines, "COMMIT", ""))


def _subject(edit: RuleEdit) -> tuple[str, str]:
    match edit:
        case PutChain(chain=chain):
            return ("chain", chain.name)
        case DropChain(name=name):
            return ("chain", name)
        case PutJump(jump=jump):
            return ("jump", jump.hook)
        case DropJumps(hook=hook):
            return ("jump", hook)


def _jump_lines(edit: RuleEdit) -> Iterator[str]:
    match edit:
        case PutJump(jump=jump, found=found, stand=stand):
            yield from (f"-D {jump.hook} {rule}" for rule in found)
            put = f"-I {jump.hook} 1" if stand is Stand.FIRST else f"-A {jump.hook}"
            yield f"{put} {jump_rule(jump)}"
        case DropJumps(hook=hook, found=found):
            yield from (f"-D {hook} {rule}" for rule in found)
        case _:
            return


def _rule_lines(chain: Chain) -> Iterator[str]:
    for rule in chain.rules:
        yield f'-A {chain.name} -m comment --comment "{comment_of(rule)}" {rule}'


def sets_text(edits: Iterable[PutSet], room: int, there: Container[SetName]) -> str:
    """Whole sets. Those that are there already get their new contents in one step."""
    return "".join(
        f"{line}\n"
        for edit in edits
        for line in (_swapped if edit.name in there else _filled)(edit, edit.name, room)
    )


def _filled(edit: PutSet, name: SetName, room: int) -> Iterator[str]:
    yield creation(name, edit.type, edit.version, room, len(edit.elements))
    yield f"flush {name}"
    yield from (f"add {name} {one}" for one in sorted(edit.elements))


def _swapped(edit: PutSet, name: SetName, room: int) -> Iterator[str]:
    spare = spare_name(name)
    yield from _filled(edit, spare, room)
    yield f"swap {spare} {name}"
    yield f"destroy {spare}"
