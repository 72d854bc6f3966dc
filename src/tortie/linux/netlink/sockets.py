"""A netlink socket: requests with their acknowledgements, dumps, batches.

A socket speaks to the network namespace in which it was opened, for its whole life, whatever the
thread does afterwards. It is not for two threads at once.
"""

import errno as errnos
import os
import socket
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import ClassVar, NamedTuple, Self

from tortie.linux.netlink.wire import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    Acknowledgement,
    Message,
    build_message,
    parse_acknowledgement,
    parse_messages,
)

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
_SOL_NETLINK = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 10, 11, 12
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33

# Every message of a chunk may fail, and each error takes about 1 KiB of the receive buffer.
CHUNK_MESSAGES = 2048
CHUNK_BYTES = 256 * 1024
_BUFFER = 4 * 1024 * 1024
_REFUSAL = 1024  # bytes of the receive buffer for each
_RECEIVE = 256 * 1024
_DUMP_ATTEMPTS = 10
_LAST_SEQUENCE = 0xFFFFFFFF


class Request(NamedTuple):
    """One message to send. `str(about)` names the request in errors; only then it is asked for."""

    type: int
    payload: bytes
    flags: int = 0
    about: object = ""


class NetlinkError(OSError):
    """The kernel refused a request: its errno, its words, and what was asked for.

    `request_index` is the request's place in the batch.
    """

    def __init__(
        self, errno: int, message: str = "", about: object = "", request_index: int = 0
    ) -> None:
        self.message, self.about, self.request_index = message, str(about), request_index
        name = errnos.errorcode.get(errno, str(errno))
        reason = f"{message} ({name})" if message else f"{os.strerror(errno)} ({name})"
        self.text = f"{self.about}: {reason}" if self.about else reason
        super().__init__(errno, self.text)

    def __str__(self) -> str:
        return self.text


class NetlinkLost(NetlinkError):
    """A request could not be sent or its answer was lost: what is in force now is not known."""


class DumpInterrupted(NetlinkError):
    """What was dumped kept changing, so that no answer was one consistent picture."""


class NetlinkSocket:
    """One netlink socket, with extended and capped acknowledgements and strict dump filters.

    Raises NetlinkError for what the kernel refuses, TimeoutError when it does not answer within
    `timeout` seconds, or else within `patience`, which a process sets once at its start.
    """

    patience: ClassVar[float | None] = 10.0  # None: for ever

    def __init__(self, protocol: int = NETLINK_ROUTE, *, timeout: float | None = None) -> None:
        timeout = self.patience if timeout is None else timeout
        self._sequence, self._room = 0, _BUFFER
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        try:
            self._prepare(timeout)
        except OSError:
            self._socket.close()
            raise

    def _prepare(self, timeout: float | None) -> None:
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._enlarge(_SO_RCVBUFFORCE, socket.SO_RCVBUF, _BUFFER)
        self._enlarge(_SO_SNDBUFFORCE, socket.SO_SNDBUF, _BUFFER)
        self._socket.settimeout(timeout)
        self._socket.bind((0, 0))

    def _enlarge(self, forced: int, limited: int, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, forced, size)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, limited, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; closing it twice is harmless."""
        self._socket.close()

    def fileno(self) -> int:
        """The file descriptor, for selectors."""
        return self._socket.fileno()

    @property
    def port(self) -> int:
        """The netlink port: in the kernel's notifications it tells what was asked from here."""
        port: int = self._socket.getsockname()[0]
        return port

    def request(self, request: Request) -> list[Message]:
        """Send one request and wait for its acknowledgement; returns the answers before it."""
        first = self.post([request], NLM_F_REQUEST | NLM_F_ACK)
        answers: list[Message] = []
        for message in self._answers(first, 1):
            if message.type == NLMSG_ERROR:
                self._raise_for(parse_acknowledgement(message), request)
                return answers
            answers.append(message)
        return answers

    def dump(self, request: Request) -> list[Message]:
        """Ask for everything that matches. The answer is one consistent picture.

        The kernel marks a dump during which something changed; such a dump is asked for again.
        Raises DumpInterrupted when that happens ten times in a row.
        """
        for _ in range(_DUMP_ATTEMPTS):
            answers = self._dump_once(request)
            if answers is not None:
                return answers
        raise DumpInterrupted(errnos.EINTR, "it kept changing while it was read", request.about)

    def _dump_once(self, request: Request) -> list[Message] | None:
        first = self.post([request], NLM_F_REQUEST | NLM_F_DUMP)
        answers: list[Message] = []
        interrupted = 0
        for message in self._answers(first, 1):
            interrupted |= message.flags & NLM_F_DUMP_INTR
            if message.type in (NLMSG_DONE, NLMSG_ERROR):
                self._raise_for(parse_acknowledgement(message), request)
                break
            answers.append(message)
        return None if interrupted else answers

    def batch(self, requests: Sequence[Request]) -> dict[int, NetlinkError]:
        """Send many independent requests, thousands a system call; returns errors by index.

        A request without an error was carried out, in order. Only failures and the last request
        of a chunk are acknowledged: that is what makes it fast.
        """
        errors: dict[int, NetlinkError] = {}
        for start, chunk in _chunks(requests):
            for index, error in self._send_chunk(chunk).items():
                error.request_index = start + index
                errors[start + index] = error
        return errors

    def _send_chunk(self, chunk: Sequence[Request]) -> dict[int, NetlinkError]:
        last = len(chunk) - 1
        first = self.post(chunk, NLM_F_REQUEST, NLM_F_REQUEST | NLM_F_ACK)
        errors: dict[int, NetlinkError] = {}
        for message in self._answers(first, len(chunk)):
            if message.type != NLMSG_ERROR:
                continue
            index, ack = message.sequence - first, parse_acknowledgement(message)
            if ack.errno:
                errors[index] = NetlinkError(ack.errno, ack.message, chunk[index].about, index)
            if index == last:
                return errors
        return errors

    def post(self, requests: Sequence[Request], flags: int = 0, last: int | None = None) -> int:
        """Send requests in one system call; returns the first one's number.

        `flags` are added to those of every request, or `last` to those of the last one. The n-th
        request's answers carry the returned number + n as their sequence.
        """
        first = self._sequence + 1
        if first + len(requests) > _LAST_SEQUENCE:
            first = 1
        self._sequence = first + len(requests) - 1
        messages = [
            build_message(kind, own | flags, payload, number)
            for number, (kind, payload, own, _) in enumerate(requests, first)
        ]
        if last is not None and requests:
            kind, payload, own, _ = requests[-1]
            messages[-1] = build_message(kind, own | last, payload, self._sequence)
        self._send(b"".join(messages), requests)
        return first

    def _send(self, data: bytes, requests: Sequence[Request]) -> None:
        if len(data) > _BUFFER:
            self._enlarge(_SO_SNDBUFFORCE, socket.SO_SNDBUF, len(data))
        try:
            self._socket.sendto(data, (0, 0))
        except TimeoutError:
            raise
        except OSError as error:
            about = requests[0].about if requests else ""
            raise NetlinkLost(error.errno or errnos.EIO, "it could not be sent", about) from error

    def expect(self, refusals: int) -> None:
        """Make room for as many answers to one batch: the kernel would drop what has none."""
        size = refusals * _REFUSAL
        if size > self._room:
            self._room = size
            self._enlarge(_SO_RCVBUFFORCE, socket.SO_RCVBUF, size)

    def receive(self) -> Iterator[Message]:
        """The messages of the next datagram, whoever they answer.

        Raises NetlinkLost with ENOBUFS when the kernel had to drop messages for want of room.
        """
        try:
            data, _, flags, sender = self._socket.recvmsg(_RECEIVE)
        except TimeoutError:
            raise TimeoutError("the kernel did not answer a netlink request in time") from None
        except OSError as error:
            raise NetlinkLost(error.errno or errnos.EIO, "", "reading from netlink") from error
        if flags & socket.MSG_TRUNC:
            raise NetlinkLost(errnos.EMSGSIZE, f"an answer above {_RECEIVE} bytes was cut off")
        # Another process may send to our port; only the kernel (port 0) is listened to.
        return parse_messages(data) if sender[0] == 0 else iter(())

    def _answers(self, first: int, count: int) -> Iterator[Message]:
        """Messages that answer these requests, for as long as the caller wants more.

        Late answers to an earlier request that failed half-way are passed over.
        """
        while True:
            for message in self.receive():
                if first <= message.sequence < first + count:
                    yield message

    @staticmethod
    def _raise_for(ack: Acknowledgement, request: Request) -> None:
        if ack.errno:
            raise NetlinkError(ack.errno, ack.message, request.about)


def _chunks(requests: Sequence[Request]) -> Iterator[tuple[int, Sequence[Request]]]:
    """Cut into pieces that fit the socket's buffers, each with its first index."""
    start, size = 0, 0
    for index, request in enumerate(requests):
        length = len(request.payload) + 20
        if index > start and (size + length > CHUNK_BYTES or index - start == CHUNK_MESSAGES):
            yield start, requests[start:index]
            start, size = index, 0
        size += length
    if start < len(requests):
        yield start, requests[start:]
