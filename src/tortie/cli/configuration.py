"""Where the datastore is: options, then a CalicoAPIConfig file, then the environment.

    apiVersion: projectcalico.org/v3
    kind: CalicoAPIConfig
    metadata:
    spec:
      datastoreType: sqlite
      sqlitePath: /var/lib/tortie/tortie.db

`datastoreType: sqlite` with `sqlitePath` is Tortie's own; Calico's types are `etcdv3` and
`kubernetes`, whose other fields are read over.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tortie.cli.errors import UserError

VARIABLE = "TORTIE_DATASTORE"
TYPE_VARIABLE = "DATASTORE_TYPE"  # calicoctl's
DEFAULT = "/var/lib/tortie/tortie.db"
DEFAULT_FILE = Path("/etc/calico/calicoctl.cfg")  # calicoctl's
LOG_LEVELS = ("panic", "fatal", "error", "warn", "info", "debug")
_API_VERSION, _KIND = "projectcalico.org/v3", "CalicoAPIConfig"


class Chosen(NamedTuple):
    """A datastore, and who said so."""

    location: str
    origin: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--datastore`, and what every command of calicoctl takes."""
    group = parser.add_argument_group("datastore")
    group.add_argument(
        "--datastore",
        metavar="PATH",
        help=f"a path, sqlite:PATH or memory: (else ${VARIABLE}, else {DEFAULT})",
    )
    group.add_argument(
        "-c", "--config", metavar="FILE", help=f"a {_KIND} (default: {DEFAULT_FILE}, if there)"
    )
    group.add_argument("--context", help="of a kubeconfig: for the Kubernetes datastore")
    add_common_options(group)


def add_common_options(parser: argparse._ActionsContainer) -> None:
    """What every command takes, also one that needs no datastore."""
    parser.add_argument(
        "-l",
        "--log-level",
        choices=LOG_LEVELS,
        default="panic",
        metavar="LEVEL",
        help="debug says which datastore is used, and why",
    )
    parser.add_argument(
        "--allow-version-mismatch",
        action="store_true",
        help="go on although the cluster is of another version",
    )


def chosen_datastore(options: argparse.Namespace) -> Chosen:
    """Where a command is to work. Raises UserError."""
    chosen = _chosen(options)
    if options.context:
        raise UserError(
            f"--context {options.context} is for the Kubernetes datastore, and the datastore is"
            f" {chosen.location} ({chosen.origin}): leave it out"
        )
    if options.log_level == "debug":
        print(f"debug: datastore {chosen.location} ({chosen.origin})", file=sys.stderr)
    return chosen


def _chosen(options: argparse.Namespace) -> Chosen:
    if options.datastore:
        return Chosen(options.datastore, "from --datastore")
    if options.config:
        return _of_file(Path(options.config))
    if location := os.environ.get(VARIABLE):
        return Chosen(location, f"from ${VARIABLE}")
    if type_ := os.environ.get(TYPE_VARIABLE):
        return Chosen(_located({"datastoreType": type_}, f"${TYPE_VARIABLE}"), "the default")
    if DEFAULT_FILE.exists():
        return _of_file(DEFAULT_FILE)
    return Chosen(DEFAULT, "the default")


def _of_file(path: Path) -> Chosen:
    return Chosen(_located(_spec(path), str(path)), f"from {path}")


def _spec(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    found = (config.get("apiVersion"), config.get("kind")) if isinstance(config, dict) else None
    if found != (_API_VERSION, _KIND):
        raise UserError(
            f"{path} is no configuration: apiVersion must be {_API_VERSION}, kind {_KIND}"
        )
    spec = config.get("spec") or {}
    if not isinstance(spec, dict):
        raise UserError(f"{path}: spec must be an object")
    return spec


def _located(spec: Mapping[str, Any], source: str) -> str:
    """The datastore that a configuration names; `source` is where it was read, for errors."""
    type_ = spec.get("datastoreType", "etcdv3")
    if type_ == "sqlite":
        return f"sqlite:{spec.get('sqlitePath') or DEFAULT}"
    if type_ in ("etcdv3", "kubernetes"):
        raise UserError(
            f"{source}: datastoreType {type_} is not there yet; what there is: sqlite, with"
            " sqlitePath"
        )
    raise UserError(
        f"{source}: there is no datastoreType {type_!r}; there are sqlite, etcdv3, kubernetes"
    )
