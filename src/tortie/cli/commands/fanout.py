"""Run the fan-out server in the foreground: it follows the datastore once for many agents.

Its settings are Typha's, from TYPHA_* in the environment. It needs no rights but to read the
datastore: do not run it as root. On SIGTERM its clients are sent to other servers one by one; a
second SIGTERM ends it at once.
"""

import argparse
import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING

from tortie.cli import configuration, foreground

if TYPE_CHECKING:  # the command line starts without them
    from tortie.fanout.server_settings import ServerSettings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which datastore."""
    configuration.add_daemons_option(parser, "TYPHA_")


def run(options: argparse.Namespace) -> int:
    """Serve until a signal. Returns the exit status; errors are for people."""
    from tortie.fanout.environment import FanoutSettingsError
    from tortie.fanout.upstream import OtherDatastore

    return foreground.ended("fanout", partial(_run, options), FanoutSettingsError, OtherDatastore)


def _run(options: argparse.Namespace) -> None:
    import structlog

    from tortie.daemon.log import configure_logs
    from tortie.fanout.server_settings import server_settings

    settings, warnings = server_settings(os.environ)
    configure_logs(settings.log_severity)
    for warning in warnings:
        structlog.get_logger(__name__).warning("look at the settings", problem=warning)
    asyncio.run(
        _serve(settings, configuration.daemons_datastore(options.datastore, os.environ, "TYPHA_"))
    )


async def _serve(settings: "ServerSettings", chosen: configuration.Chosen) -> None:
    from tortie.datastore import open_datastore
    from tortie.fanout.service import serve

    store = await open_datastore(chosen.settings)
    try:
        await serve(settings, store)
    finally:
        await store.close()
