"""Which notifications reach a socket at all, as a classic BPF program in the kernel.

From linux/filter.h. A datagram begins with the header of its first message. Loads are big-endian,
while netlink's integers are in the machine's order, so that what is compared is turned around here.
"""

import ctypes
import socket
import struct
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from tortie.linux.netlink.wire import HEADER_LENGTH

_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
_LOADS = {4: 0x20, 2: 0x28, 1: 0x30}  # BPF_LD | BPF_ABS with BPF_W, BPF_H, BPF_B
_EQUAL, _ANY_BIT, _RETURN = 0x15, 0x45, 0x06
_VERDICTS = {"keep": 0xFFFFFFFF, "drop": 0}


class Field(NamedTuple):
    """An integer in a datagram."""

    offset: int
    size: int


TYPE, FLAGS, PORT = Field(4, 2), Field(6, 2), Field(12, 4)


def in_payload(offset: int, size: int) -> Field:
    """A field of the first message's payload."""
    return Field(HEADER_LENGTH + offset, size)


class Test(NamedTuple):
    """Where to go on if a field has the value, or with `any_bit` one of its bits.

    `then` and `otherwise` are labels of later tests, "keep" or "drop"; "" is the next test.
    """

    field: Field
    value: int
    then: str
    otherwise: str = ""
    any_bit: bool = False
    label: str = ""


def attach(sock: socket.socket, tests: Sequence[Test]) -> None:
    """Have the kernel ask these tests about each datagram, in place of any earlier ones.

    What is left undecided is kept.
    """
    code = assemble(tests)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HP", len(code) // _INSTRUCTION.size, ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)


def assemble(tests: Sequence[Test]) -> bytes:
    """The program: two instructions a test, then the two verdicts."""
    places = {one.label: 2 * place for place, one in enumerate(tests) if one.label}
    places |= {"keep": 2 * len(tests), "drop": 2 * len(tests) + 1}
    code = b""
    for place, one in enumerate(tests):
        after = 2 * place + 2
        jumps = [places[to] - after if to else 0 for to in (one.then, one.otherwise)]
        operand = int.from_bytes(one.value.to_bytes(one.field.size, sys.byteorder), "big")
        code += _INSTRUCTION.pack(_LOADS[one.field.size], 0, 0, one.field.offset)
        code += _INSTRUCTION.pack(_ANY_BIT if one.any_bit else _EQUAL, *jumps, operand)
    return code + b"".join(_INSTRUCTION.pack(_RETURN, 0, 0, one) for one in _VERDICTS.values())


def without_senders(ports: Collection[int]) -> list[Test]:
    """Leave out what these netlink ports asked for."""
    return [Test(PORT, port, "drop") for port in sorted(ports)]


def of_values(
    field: Field, values: Iterable[int], then: str, otherwise: str = "", label: str = ""
) -> list[Test]:
    """Go to `then` if the field has one of the values (there must be one), else to `otherwise`."""
    tests = [Test(field, value, then) for value in sorted(values)]
    tests[0] = tests[0]._replace(label=label)
    tests[-1] = tests[-1]._replace(otherwise=otherwise)
    return tests
