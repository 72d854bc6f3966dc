"""Run the node agent in the foreground, until SIGTERM. Policy stays in force after it ends."""

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Settings come from FELIX_* in the environment, as on a Calico node; these override."""
    parser.add_argument("--datastore", metavar="PATH", help="the datastore (FELIX_DATASTORE)")
    parser.add_argument("--node", metavar="NAME", help="this node's name (FELIX_FELIXHOSTNAME)")
    parser.add_argument("--run-dir", metavar="DIR", help="where its sockets are (FELIX_RUNDIR)")


def run(options: argparse.Namespace) -> int:
    """Hand over to the agent."""
    from tortie.cli.daemons import run_agent

    return run_agent(options)
