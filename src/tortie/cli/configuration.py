"""Which datastore a command works on: options, a CalicoAPIConfig file, the environment, a default.

The first that says anything counts, and it alone, as with calicoctl: `--datastore`, `--config`,
$TORTIE_DATASTORE, /etc/calico/calicoctl.cfg, the variables of the environment, the embedded
datastore. But what `--datastore` and $TORTIE_DATASTORE leave open (a password, certificates) is
taken from the file or the environment. docs/configuration.md tells all names.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tortie.cli.errors import UserError

if TYPE_CHECKING:  # commands without a datastore start without it
    from tortie.datastore.configuration import Fields
    from tortie.datastore.settings import DatastoreSettings

VARIABLE = "TORTIE_DATASTORE"
DEFAULT = "/var/lib/tortie/tortie.db"
DEFAULT_FILE = Path("/etc/calico/calicoctl.cfg")  # calicoctl's
LOG_LEVELS = ("panic", "fatal", "error", "warn", "info", "debug")
FORMS = "PATH, sqlite:PATH, memory:, etcd:[ENDPOINTS] or kubernetes:[KUBECONFIG]"
_KIND = "CalicoAPIConfig"


class Chosen(NamedTuple):
    """A datastore, and who said so."""

    settings: "DatastoreSettings"
    origin: str

    @property
    def path(self) -> str:
        """The file, where it is one; else nothing."""
        return getattr(self.settings, "path", "")

    @property
    def name(self) -> str:
        """What to call it to a person; without secrets."""
        from tortie.datastore.settings import name_of

        return name_of(self.settings)


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--datastore`, and what every command of calicoctl takes."""
    group = parser.add_argument_group("datastore")
    add_datastore_options(group)
    add_common_options(group)


def add_datastore_options(group: argparse._ActionsContainer, otherwise: str = "") -> None:
    """The three that choose a datastore; `otherwise` is what is taken without them."""
    otherwise = otherwise or f"-c, ${VARIABLE}, {DEFAULT_FILE}, the environment, {DEFAULT}"
    group.add_argument(
        "--datastore",
        metavar="WHICH",
        help=f"{FORMS} (else {otherwise})",
    )
    group.add_argument(
        "-c", "--config", metavar="FILE", help=f"a {_KIND} (default: {DEFAULT_FILE}, if there)"
    )
    group.add_argument(
        "--context", metavar="NAME", help="of the kubeconfig, for the Kubernetes datastore"
    )


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
    """Where a command is to work. Raises UserError, ConfigurationError."""
    from tortie.datastore.configuration import settings_of

    fields = chosen_fields(options)
    chosen = Chosen(settings_of(fields), fields.origin)
    if options.context and not hasattr(chosen.settings, "context"):
        raise UserError(
            f"--context {options.context} is for the Kubernetes datastore, and the datastore is"
            f" {chosen.name} ({chosen.origin}): leave it out"
        )
    if options.log_level == "debug":
        print(f"debug: datastore {chosen.name} ({chosen.origin})", file=sys.stderr)
    return chosen


def daemons_datastore(option: str | None, environ: Mapping[str, str], prefix: str) -> Chosen:
    """Where a daemon is to work, by what its environment says; `prefix` is FELIX_ or TYPHA_.

    Raises ConfigurationError.
    """
    from tortie.datastore.configuration import for_daemon, from_location, settings_of

    fields = for_daemon(environ, prefix)
    if option:
        fields = from_location(option, fields)
    elif location := environ.get(VARIABLE):
        fields = from_location(location, fields, f"${VARIABLE}")
    return Chosen(settings_of(fields), fields.origin)


def add_daemons_option(parser: argparse.ArgumentParser, prefix: str) -> None:
    """`--datastore` of a daemon."""
    parser.add_argument(
        "--datastore",
        metavar="WHICH",
        help=f"{FORMS} (else ${VARIABLE}, {prefix}*, the environment as for `get`, {DEFAULT})",
    )


def chosen_fields(options: argparse.Namespace) -> "Fields":
    """What the first source that says anything says. Raises ConfigurationError."""
    fields = _fields(options)
    return _with_context(fields, options.context) if options.context else fields


def _fields(options: argparse.Namespace) -> "Fields":
    from tortie.datastore.configuration import from_file, from_location

    if options.datastore:
        return from_location(options.datastore, _background(options))
    if options.config:
        return from_file(options.config)
    if location := os.environ.get(VARIABLE):
        return from_location(location, _background(options), f"${VARIABLE}")
    return _background(options)


def _background(options: argparse.Namespace) -> "Fields":
    """What a file says; the environment where there is none."""
    from tortie.datastore.configuration import from_environment, from_file

    if options.config:
        return from_file(options.config)
    if os.access(DEFAULT_FILE, os.R_OK):
        return from_file(DEFAULT_FILE)
    return from_environment(os.environ)


def _with_context(fields: "Fields", context: str) -> "Fields":
    from tortie.datastore.configuration import Given

    given = {**fields.given, "k8sCurrentContext": Given(context, "--context")}
    return fields._replace(given=given)
