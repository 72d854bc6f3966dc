"""Print the version.

tortie version               of this program
tortie version --cluster     also what the datastore says of its cluster
tortie version --poll 10s    the same, again and again
"""

import argparse

import tortie
from tortie.cli import configuration
from tortie.cli.errors import UserError

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what; `-o json` is for machines."""
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--client", action="store_true", help="of this program only (default)")
    whose.add_argument("--cluster", action="store_true", help="of the cluster, too")
    whose.add_argument(
        "-p", "--poll", metavar="TIME", default="0", help="of the cluster, every so often; 0: once"
    )
    configuration.add_datastore_options(parser.add_argument_group("datastore"))
    parser.add_argument("-l", "--log-level", metavar="LEVEL", default="panic")
    parser.add_argument("--allow-version-mismatch", action="store_true", help="this tells both")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    seconds = _seconds(options.poll)
    if not (options.cluster or seconds):
        _print(options, {"version": tortie.__version__})
        return 0
    from time import sleep

    _print(options, {"version": tortie.__version__, **_cluster(options)})
    while seconds:
        sleep(seconds)
        _print(options, _cluster(options))
    return 0


def _print(options: argparse.Namespace, said: dict[str, str]) -> None:
    if options.output == "json":
        import json

        print(json.dumps(said), flush=True)
        return
    titles = {"version": "tortie", "clusterVersion": "cluster", "clusterType": "type"}
    for key, value in said.items():
        print(f"{titles[key]} {value}", flush=True)


def _cluster(options: argparse.Namespace) -> dict[str, str]:
    """What ClusterInformation says."""
    from tortie.api import Key
    from tortie.cli.datastore import look_into
    from tortie.datastore import Datastore, NotFound

    found: dict[str, str] = {"clusterVersion": "unknown", "clusterType": "unknown"}

    async def look(store: Datastore) -> int:
        try:
            information = await store.get(Key("ClusterInformation", "", "default"))
        except NotFound:
            return 1
        spec = information.spec  # type: ignore[attr-defined]  # Key says which kind it is
        found.update(clusterVersion=spec.calico_version, clusterType=spec.cluster_type)
        return 0

    look_into(options, look)
    return found


def _seconds(text: str) -> float:
    """The seconds of "10s", "1.5m", "0". Raises UserError."""
    number = text.rstrip("hms")
    try:
        return float(number) * _UNITS[text.removeprefix(number) or "s"]
    except (ValueError, KeyError):
        raise UserError(f"--poll {text}: a time is like 10s, 5m or 2h") from None
