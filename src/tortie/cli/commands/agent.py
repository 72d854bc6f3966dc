"""Run the node agent in the foreground, until SIGTERM; policy stays in force.

Its settings are Calico's, from FELIX_* in the environment.
"""

import argparse

from tortie.cli.daemons import add_agent_arguments, run_agent


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, which datastore, where its socket is."""
    add_agent_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Hand over to the agent."""
    return run_agent(options)
