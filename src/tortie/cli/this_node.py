"""Which node the commands around its daemons are for, and its datastore: as calico-node is told."""

import argparse
import os
import socket
from typing import TYPE_CHECKING

from tortie.cli import configuration

if TYPE_CHECKING:  # the command line starts without it
    from tortie.node.start_settings import StartSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, which datastore."""
    parser.add_argument("--node", metavar="NAME", help="this node's name (NODENAME)")
    configuration.add_daemons_option(parser, "FELIX_")


def settings_of(options: argparse.Namespace) -> "StartSettings":
    """What its environment says. Raises ValueError."""
    from tortie.node.start_settings import start_settings

    return start_settings(os.environ, options.node, socket.gethostname())


def datastore_of(options: argparse.Namespace) -> configuration.Chosen:
    """Where it is to work. Raises ConfigurationError."""
    return configuration.daemons_datastore(options.datastore, os.environ, "FELIX_")
