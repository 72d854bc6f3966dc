"""The agent's side of the plugin: answers the shim's requests on the control socket."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from tortie.agent.control import Handler, Reply, Request
from tortie.agent.waiters import NotReady
from tortie.cni.attachment import Attacher
from tortie.cni.chained import Chained
from tortie.cni.errors import (
    DECODING_FAILURE,
    INTERNAL,
    INVALID_CONFIG,
    NO_ADDRESS,
    NOT_AVAILABLE,
    TRY_AGAIN,
    CniError,
)
from tortie.cni.fitting import check_fits, remarks
from tortie.cni.gc import collect
from tortie.cni.locks import NamedLocks
from tortie.cni.previous import after, check_previous
from tortie.cni.registration import Registration
from tortie.cni.request import LATEST, SUPPORTED_VERSIONS, CniRequest, parse_request
from tortie.cni.result import render
from tortie.cni.shim import text_of
from tortie.datastore import DatastoreError
from tortie.datastore.cluster import Locked, check_unlocked
from tortie.ipam import IpamError

_WRITING = frozenset({"ADD", "DEL", "GC"})  # refused as a whole: half of each would be too much
Output = dict[str, object] | None
Commands = Mapping[str, Callable[[CniRequest], Awaitable[Output]]]

_log = structlog.get_logger(__name__)


class CniServer:
    """Turns requests into attachments and answers; `missing` says what the agent waits for.

    `admitted` returns once the datastore may be written to, or raises NotReady. `chained` does what
    is asked with `policy_only`; `datastore` is the agent's, as its settings name it. `registration`
    says whether the node can have addresses.
    """

    def __init__(
        self,
        attacher: Attacher,
        missing: Callable[[], list[str]],
        admitted: Callable[[], Awaitable[None]] | None = None,
        chained: Chained | None = None,
        datastore: str = "",
        registration: Registration | None = None,
    ) -> None:
        self._attacher = attacher
        self._chained = chained
        self._missing = missing
        self._admitted = admitted
        self._datastore, self._registration = datastore, registration
        # In the order in which they came, from their first step on: a runtime killed during
        # an ADD asks for DEL, and must not be overtaken by what it does not know of.
        self._turns = NamedLocks()
        self._remarked: set[str] = set()
        self._commands: Commands = {
            "ADD": self._add,
            "DEL": self._del,
            "CHECK": self._check,
            "STATUS": self._status,
            "GC": self._gc,
        }

    async def handle(self, request: Request) -> Reply:
        """The verb "cni" of the control socket: `env` and `config` as `tortie.cni.shim` sends."""
        return await self._answer(self._commands, request)

    def serving(self, commands: Commands) -> Handler:
        """What answers a verb whose commands are these, and else ours."""
        return partial(self._answer, {**self._commands, **commands})

    async def _answer(self, commands: Commands, request: Request) -> Reply:
        config = b""
        try:
            environ, config = _unpack(request)
            call = parse_request(environ, config)
            async with self._turns.hold(f"{call.container_id}/{call.ifname}"):
                return {"exit": 0, "output": await self._carry_out(commands, call)}
        except Exception as problem:  # the runtime gets an answer to everything
            error = _as_cni_error(problem)
            _log.warning("a CNI request failed", code=error.code, reason=error.message)
            return {"exit": 1, "output": error.output(_version(config))}

    async def _carry_out(self, commands: Commands, call: CniRequest) -> Output:
        if self._admitted is not None and call.command != "STATUS":
            await self._admitted()
        if call.command in _WRITING:
            await check_unlocked(self._attacher.records.store)
        return await commands[call.command](call)

    async def _add(self, request: CniRequest) -> Output:
        self._remark(request)
        if request.config.policy_only:
            return await self._policy_only().add(request)
        previous = check_previous(request)
        attached = await self._attacher.add(request)
        return after(previous, render(attached, request.config.cni_version))

    def _remark(self, request: CniRequest) -> None:
        """Say once what of the configuration is not so."""
        for one in remarks(request.config, self._datastore):
            if one not in self._remarked:
                self._remarked.add(one)
                _log.warning("a network's configuration", network=request.config.name, remark=one)

    async def _del(self, request: CniRequest) -> None:
        await self._for(request).delete(request)

    async def _check(self, request: CniRequest) -> None:
        await self._for(request).check(request)

    async def _status(self, request: CniRequest) -> None:
        await check_fits(request.config, self._attacher.node)
        missing = self._missing()
        if self._registration is not None and request.config.ipam.is_own and self._registration.why:
            missing = [*missing, self._registration.why]
        try:
            await check_unlocked(self._attacher.records.store)
        except Locked as problem:
            missing = [*missing, str(problem)]
        except DatastoreError as problem:  # the agent's readiness is what tells of an outage
            _log.debug("the datastore can't be asked whether it is locked", reason=str(problem))
        if missing:
            raise CniError(NOT_AVAILABLE, "the node's agent is not ready", "; ".join(missing))

    async def _gc(self, request: CniRequest) -> None:
        await collect(self._for(request), request)

    def _for(self, request: CniRequest) -> Attacher | Chained:
        return self._policy_only() if request.config.policy_only else self._attacher

    def _policy_only(self) -> Chained:
        if self._chained is None:
            raise CniError(INVALID_CONFIG, "policy_only: not here")
        return self._chained


def _unpack(request: Request) -> tuple[dict[str, str], bytes]:
    try:
        raw = request["env"]
        if not isinstance(raw, dict):
            raise TypeError("env is no object")
        environ = {
            name: bytes.fromhex(value).decode("utf-8", "replace") for name, value in raw.items()
        }
        return environ, bytes.fromhex(str(request["config"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise CniError(DECODING_FAILURE, f"the request is not the plugin's: {problem}") from None


def _as_cni_error(problem: Exception) -> CniError:
    match problem:
        case CniError():
            return problem
        case NotReady():
            return CniError(TRY_AGAIN, str(problem))
        case Locked():
            return CniError(TRY_AGAIN, str(problem))
        case DatastoreError():
            return CniError(TRY_AGAIN, f"the datastore: {problem}")
        case IpamError():
            return CniError(NO_ADDRESS, str(problem))
    _log.exception("a CNI request met a defect")
    return CniError(INTERNAL, f"{type(problem).__name__}: {problem}")


def _version(config: bytes) -> str:
    found = text_of(config, b"cniVersion").decode("ascii", "replace")
    return found if found in SUPPORTED_VERSIONS else LATEST
