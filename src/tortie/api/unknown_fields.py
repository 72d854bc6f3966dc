"""What a writer does not know of an object, it must not erase. Pure.

A newer version, or another program, stores fields that our types lack. Decoding passes over them,
so writing the decoded object back would remove them. Each datastore puts what it is about to write
through `carried`, which takes them over from what is stored.
"""

from typing import Any

import msgspec

from tortie.api.codec import DecodeError, decode, encode
from tortie.api.registry import KINDS

_OF_THE_KIND = ("apiVersion", "kind")  # known, though the types have no fields for them


def carried(kind: str, stored: bytes, written: bytes) -> bytes:
    """The JSON `written` with the fields of the JSON `stored` that the type of `kind` lacks.

    What is known is as in `written`, always. An unknown field stays as long as the object that
    holds it does; in a list that is an item of which all that we know is unchanged, since a rule
    that says something else is another rule. What is stored may be broken: then nothing is kept.
    """
    try:
        if encode(decode(kind, stored)) == stored:
            return written  # our own writing, and nothing unknown in it: nearly always
        before, after = msgspec.json.decode(stored), msgspec.json.decode(written)
    except (DecodeError, msgspec.DecodeError):
        return written
    for name in _OF_THE_KIND:
        before.pop(name, None)
    return _overlaid(kind, before, after) or written


def _overlaid(kind: str, before: Any, after: Any) -> bytes | None:
    from tortie.api.overlay import knows_all, overlaid  # here: commands that only look need neither
    from tortie.api.structure import shape_of

    if knows_all(KINDS[kind].type, before):
        return None  # by another program, or in another order
    result = overlaid(shape_of(KINDS[kind].type), before, after)
    return None if result == after else msgspec.json.encode(result)
