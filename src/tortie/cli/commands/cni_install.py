"""Install the CNI plugin on this host: program, network configuration, kubeconfig.

tortie cni install
tortie cni install --bin-dir /opt/cni/bin --conf-dir /etc/cni/net.d
tortie cni install --watch

Settings are those of Calico's install container, from the environment: CNI_NETWORK_CONFIG,
CNI_NET_DIR, CNI_CONF_NAME, CNI_OLD_CONF_NAME, CNI_MTU, SKIP_CNI_BINARIES, UPDATE_CNI_BINARIES,
SLEEP and others (docs/cni-install.md). Again and again is harmless: what is there already stays.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tortie.cni.installer.service import Installer
    from tortie.cni.installer.settings import InstallSettings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where, and for how long."""
    add_folders(parser)
    parser.add_argument("--conf-name", metavar="NAME", help="default: 10-calico.conflist")
    parser.add_argument("--plugins", type=Path, metavar="DIR", help="copy portmap etc. from here")
    parser.add_argument("--agent-socket", metavar="PATH", help="where the agent listens")
    parser.add_argument(
        "--own-interpreter",
        action="store_true",
        default=None,
        help="bring Python along, for a host that may have none",
    )
    parser.add_argument(
        "--watch", action="store_true", default=None, help="stay, renew the token, mend files"
    )


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Options that both commands have."""
    parser.add_argument("--bin-dir", metavar="DIR", help="of plugins; default: /opt/cni/bin")
    parser.add_argument(
        "--conf-dir", metavar="DIR", help="of configurations; default: /etc/cni/net.d"
    )
    parser.add_argument(
        "--account", type=Path, metavar="DIR", help="this pod's service account, if it is not usual"
    )
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")


def settings_of(options: argparse.Namespace) -> "InstallSettings":
    """The settings by environment and options."""
    from tortie.cni.installer.settings import read_settings

    return read_settings(os.environ, vars(options))


def run(options: argparse.Namespace) -> int:
    """Install. Status 1 where that fails."""
    import asyncio

    from tortie.cli.placing import show
    from tortie.cni.installer.service import Installer

    settings = settings_of(options)
    installer = Installer(settings)
    if settings.watch:
        return asyncio.run(_watch(installer))
    show(asyncio.run(installer.install()), options.output)
    return 0


async def _watch(installer: "Installer") -> int:
    from tortie.daemon.log import configure_logs
    from tortie.daemon.running import run_until, stopped_by_signal

    configure_logs("INFO")
    await run_until(stopped_by_signal(), [installer.watch])
    return 0
