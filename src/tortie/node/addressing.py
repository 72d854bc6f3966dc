"""The node's own addresses: as its operator says, or found out, and again from time to time.

The environment is that of Calico's node: IP and IP6 are an address with its subnet's length,
"autodetect", or "none"; IP_AUTODETECTION_METHOD and IP6_AUTODETECTION_METHOD say how;
AUTODETECT_POLL_INTERVAL how often again. An address that another node has is not taken: traffic to
either would go to both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, cast

from tortie.api import Key, Node
from tortie.datastore import Closed, Datastore, DatastoreError, NotFound
from tortie.engine.configuration.durations import duration
from tortie.net import Prefix, parse_prefix
from tortie.node.autodetect import Held, Method, Surroundings, detect, parse_method
from tortie.node.resource import register
from tortie.node.surroundings import surroundings
from tortie.sync import Backoff

_FIRST_FOUND = "first-found"
_AGAIN = 60.0  # seconds
Say = Callable[[str], None]


class Wanted(NamedTuple):
    """What the operator says of each family: an address, a method, or nothing.

    `interval`: seconds between two looks; 0: one look. `is_checked`: other nodes' addresses count.
    `reference`: the node's name at Kubernetes, where somebody said that it has one.
    """

    fixed: Mapping[int, str]
    methods: Mapping[int, Method]
    interval: float = _AGAIN
    is_checked: bool = True
    reference: str = ""


class AddressTaken(Exception):
    """Another node has the address. The message names both and says what to do."""


def wanted_addresses(
    environ: Mapping[str, str], address4: str | None = None, address6: str | None = None
) -> Wanted:
    """From the environment; an address that is given goes before it. Raises ValueError."""
    fixed: dict[int, str] = {}
    methods: dict[int, Method] = {}
    for version, given, variable in ((4, address4, "IP"), (6, address6, "IP6")):
        said = given or environ.get(variable, "")
        if said == "autodetect":
            how = environ.get(f"{variable}_AUTODETECTION_METHOD") or _FIRST_FOUND
            methods[version] = _named(f"{variable}_AUTODETECTION_METHOD", how)
        elif said and said != "none":
            fixed[version] = _given(variable, said, version)
    again = environ.get("AUTODETECT_POLL_INTERVAL", "")
    unchecked = environ.get("DISABLE_NODE_IP_CHECK", "").lower() == "true"
    interval = _interval(again) if again else _AGAIN
    reference = environ.get("CALICO_K8S_NODE_REF", "").strip()
    return Wanted(fixed, methods, interval, not unchecked, reference)


def _interval(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise ValueError(f"AUTODETECT_POLL_INTERVAL: {error}") from None


def _given(variable: str, text: str, version: int) -> str:
    """An address; without its subnet's length, that is looked up."""
    try:
        if parse_prefix(text).version != version:
            raise ValueError(f"{text!r} is not an IPv{version} address")
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from None
    return text


def _named(variable: str, text: str) -> Method:
    try:
        return parse_method(text)
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from None


class Addressing:
    """Writes the addresses into the Node, and again. `said` gets news, `warn` gets trouble.

    `internal` asks for the machine's InternalIPs, where the datastore's Node does not say them.
    """

    def __init__(
        self,
        store: Datastore,
        name: str,
        wanted: Wanted,
        said: Say,
        warn: Say,
        internal: Callable[[], Awaitable[tuple[str, ...]]] | None = None,
    ) -> None:
        self._store, self._name, self._wanted = store, name, wanted
        self._ask_internal = internal
        self._said, self._warn = said, warn
        self._told: dict[str, str] = {}  # by what it is about

    async def run(self) -> None:
        """Until all is written; with a method to find addresses, for ever. Raises Closed."""
        backoff = Backoff()
        while self._wanted.fixed or self._wanted.methods:
            try:
                await self.settle()
            except Closed:
                raise
            except (DatastoreError, AddressTaken, OSError) as problem:
                self._once("trouble", str(problem), self._warn)
                await backoff.wait()
                continue
            backoff = Backoff()
            self._told.pop("trouble", None)
            if not self._wanted.methods or not self._wanted.interval:
                return
            await asyncio.sleep(self._wanted.interval)

    async def settle(self) -> None:
        """Find out, compare with other nodes, write what differs. Raises what `run` waits out."""
        found = await self.find()
        reference = self._wanted.reference
        await register(self._store, self._name, found, reference=reference)

    async def find(self) -> dict[int, str]:
        """The addresses, each with its subnet's length, by IP version; those found are told.

        Raises AddressTaken, DatastoreError, OSError.
        """
        around = await self._around()
        found = {
            version: self._completed(text, around.held)
            for version, text in self._wanted.fixed.items()
        }
        for version, method in self._wanted.methods.items():
            detection = detect(method, version, around)
            news = f"IPv{version}: {detection.address}: {detection.reason}"
            self._once(f"IPv{version}", news, self._said)
            if detection.address is not None:
                found[version] = str(detection.address)
        if self._wanted.is_checked:
            await self._check_others(found)
        return found

    async def _around(self) -> Surroundings:
        methods = list(self._wanted.methods.values())
        internal: tuple[str, ...] = ()
        if any(one.name == "kubernetes-internal-ip" for one in methods):
            internal = await self._internal()
        elif not methods and all("/" in text for text in self._wanted.fixed.values()):
            return Surroundings((), {})
        return await asyncio.to_thread(surroundings, methods, internal)

    def _completed(self, text: str, held: Sequence[Held]) -> str:
        """With the length of the subnet that an interface has it in; alone where none has it."""
        if "/" in text:
            return text
        wanted = parse_prefix(text)
        for one in held:
            if _single(one.address) == wanted:
                return str(one.address)
        self._once(
            text,
            f"{text} is on no interface of this machine, so its subnet is not known: every other"
            " node counts as beyond it; write it with its length",
            self._warn,
        )
        return str(wanted)

    async def _internal(self) -> tuple[str, ...]:
        """What Kubernetes says are the node's own addresses."""
        if self._ask_internal is not None:
            return await self._ask_internal()
        try:
            node = cast(Node, await self._store.get(Key("Node", "", self._name)))
        except NotFound:
            return ()
        return tuple(one.address for one in node.spec.addresses if one.type == "InternalIP")

    async def _check_others(self, found: Mapping[int, str]) -> None:
        own = {_alone(text) for text in found.values()}
        for node in cast(tuple[Node, ...], (await self._store.list("Node")).resources):
            bgp = node.spec.bgp
            if node.metadata.name == self._name or bgp is None:
                continue
            for text in (bgp.ipv4_address, bgp.ipv6_address):
                if text and _alone(text) in own:
                    raise AddressTaken(
                        f"node {node.metadata.name} has the address {text} already, so {self._name}"
                        " does not take it: give one of them another, or delete that Node if it is"
                        " gone (DISABLE_NODE_IP_CHECK=true takes it nevertheless)"
                    )

    def _once(self, about: str, news: str, say: Say) -> None:
        """Each piece of news once, until there is another about the same."""
        if news != self._told.get(about):
            self._told[about] = news
            say(news)


def _alone(text: str) -> Prefix:
    try:
        return _single(parse_prefix(text))
    except ValueError:
        return _single(parse_prefix("0.0.0.0"))  # what is no address is nobody's


def _single(address: Prefix) -> Prefix:
    return Prefix.single(address.version, address.address)
