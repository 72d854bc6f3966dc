"""The node agent as a process: its options, its locks, its logs, its datastore."""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import structlog

from tortie.agent.allegiance import Allegiance, OtherDatastore
from tortie.agent.driver_settings import check
from tortie.agent.drivers import Drivers
from tortie.agent.remembered import Remembered
from tortie.agent.runlock import AlreadyRunning, NamespaceLock, RunLock
from tortie.agent.settings import Restart, Settings, SettingsError
from tortie.agent.sources import DEFAULT_FILE, local_sources
from tortie.cli.configuration import Chosen, add_daemons_option, daemons_datastore
from tortie.cli.parts import Given, NodeParts
from tortie.daemon.log import configure_logs
from tortie.daemon.sinks import Sink, file_sink, syslog_sink
from tortie.datastore import DatastoreError, open_datastore
from tortie.engine.configuration import unused
from tortie.fanout.environment import FanoutSettingsError
from tortie.fanout.settings import client_settings
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.node.addressing import wanted_addresses
from tortie.requirements.rights import AGENTS, held, lacking

DEFAULT_RUN_DIR = "/run/tortie"

_log = structlog.get_logger(__name__)


def add_agent_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `run_agent` reads; each also has a variable of the environment."""
    parser.add_argument("--node", metavar="NAME", help="this node's name (FELIX_FELIXHOSTNAME)")
    add_daemons_option(parser, "FELIX_")
    parser.add_argument("--run-dir", metavar="DIR", help="where its socket is (TORTIE_RUN_DIR)")
    parser.add_argument(
        "--config-file", metavar="FILE", help=f"felix.cfg (default: {DEFAULT_FILE}, if there)"
    )
    parser.add_argument(
        "--address", metavar="CIDR", help='its address, such as "172.16.1.2/24"; "autodetect" (IP)'
    )
    parser.add_argument(
        "--address6", metavar="CIDR", help='its IPv6 address likewise, such as "fd00:1::2/64" (IP6)'
    )


def run_agent(args: argparse.Namespace) -> int:
    """Run the node agent until SIGTERM. Returns the exit status; errors are for people."""
    if os.geteuid() != 0:
        return _refuse("it programs the kernel's firewall and routes: run it as root")
    if absent := lacking(held(), AGENTS):
        return _refuse(f"it lacks {', '.join(absent)}: run it with them, in a container privileged")
    try:
        local = local_sources(os.environ, _node(args), getattr(args, "config_file", None) or "")
        fanout = client_settings(local.environ)
        locks = _locks(_run_dir(args))
    except (SettingsError, FanoutSettingsError, AlreadyRunning, OSError) as problem:
        return _refuse(problem)
    try:
        remembered = Remembered(_run_dir(args))
        settings = Settings(local.sources, remembered.load(), check)
        _prepare(settings)
        for warning in unused(settings.resolved):
            _log.warning("a setting is not used", problem=warning)
        addresses = wanted_addresses(
            os.environ, getattr(args, "address", None), getattr(args, "address6", None)
        )
        node = Given(settings, remembered, fanout, _run_dir(args), addresses)
        asyncio.run(_run(node, partial(daemons_datastore, args.datastore, local.environ, "FELIX_")))
    except Restart as wanted:
        return _begin_anew(wanted)
    except (DatastoreError, OtherDatastore, OSError, ValueError) as problem:
        return _refuse(problem)
    finally:
        locks.close()
    return 0


def _prepare(settings: Settings) -> None:
    """What holds for the whole process."""
    config = settings.configuration
    configure_logs(
        config.log_severity_screen,
        sinks=_sinks(settings),
        debugged=config.log_debug_filename_regex,
    )
    NetlinkSocket.patience = config.netlink_timeout_secs or None


def _sinks(settings: Settings) -> list[Sink]:
    """Where logs go beside standard error: only where somebody said so, whatever Felix's defaults.

    What can't be opened is left out, with a line on standard error that says why.
    """
    config, found = settings.configuration, list[Sink]()
    wanted: list[tuple[str, Callable[[], Sink]]] = []
    if settings.is_set("LogFilePath") and config.log_file_path:
        wanted.append(
            (
                config.log_file_path,
                lambda: file_sink(config.log_file_path, config.log_severity_file),
            )
        )
    if settings.is_set("LogSeveritySys") and config.log_severity_sys:
        wanted.append(("syslog", lambda: syslog_sink("tortie-agent", config.log_severity_sys)))
    for title, opened in wanted:
        try:
            found.append(opened())
        except OSError as problem:
            print(f"tortie agent: can't log to {title}: {problem}", file=sys.stderr)
    return found


def _locks(run_dir: str) -> ExitStack:
    """No other agent has this directory, or this network namespace, until it is closed."""
    with ExitStack() as held:
        held.callback(RunLock(run_dir).release)
        held.callback(NamespaceLock().release)
        return held.pop_all()


async def _run(given: Given, choose: Callable[[], Chosen]) -> None:
    drivers = Drivers(given.settings.configuration, Path(given.run_dir))
    try:
        # First of all: whatever becomes of the datastore, nothing stands open meanwhile.
        await asyncio.to_thread(drivers.dataplane.guard)
        await _follow(given, drivers, choose())
    finally:
        drivers.close()


async def _follow(given: Given, drivers: Drivers, chosen: Chosen) -> None:
    _log.info("the datastore", datastore=chosen.name, chosen=chosen.origin)
    store = await open_datastore(chosen.settings)
    allegiance = Allegiance(given.run_dir, chosen.name)
    try:
        await NodeParts(given, store, chosen.settings, drivers, allegiance).serve()
    finally:
        await store.close()


def _node(args: argparse.Namespace) -> str:
    return args.node or os.environ.get("NODENAME") or socket.gethostname()


def _begin_anew(wanted: Restart) -> int:
    """This very process as a new agent, which adopts what is in the kernel; the lock goes with
    the old one."""
    _log.info("starting anew for settings", parameters=str(wanted))
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    except OSError as problem:
        return _refuse(f"can't start anew for {wanted}: {problem}")


def _run_dir(args: argparse.Namespace) -> str:
    return args.run_dir or os.environ.get("TORTIE_RUN_DIR") or DEFAULT_RUN_DIR


def _refuse(problem: Exception | str) -> int:
    print(f"tortie agent: {problem}", file=sys.stderr)
    return 1
