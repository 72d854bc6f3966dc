"""Give this node's ends of WireGuard other keys. Other nodes learn them from the Node resource.

Run it on the node, as root. The keys before are in use until the others are published.
"""

import argparse
import os

from tortie.cli.asking import ask, run_dir_of

_DAEMON = "tortie agent"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose."""
    parser.add_argument("--run-dir", metavar="DIR", help="the agent's (TORTIE_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    """Do it, and print the public keys. Status 1 where WireGuard is off."""
    path = os.path.join(run_dir_of(options.run_dir), "agent.sock")
    keys = ask(path, "rotate-wireguard-keys", _DAEMON)["public_keys"]
    if not keys:
        print("WireGuard is off on this node (WireguardEnabled, WireguardEnabledV6)")
        return 1
    print("\n".join(keys))
    return 0
