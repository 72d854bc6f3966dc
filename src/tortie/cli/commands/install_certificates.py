"""Print new certificates of agents and of the fan-out's servers, as a ConfigMap and two Secrets.

  tortie install certificates | kubectl apply -f -

There are keys in what is printed. The authority's own key is kept nowhere: run it again for new
ones, which agents and servers use without a restart. `tortie install apply` does it by itself.
"""

import argparse
import sys

from tortie.cli.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """There is nothing to choose."""
    parser.add_argument("--force", action="store_true", help="print keys to a terminal, too")


def run(options: argparse.Namespace) -> int:
    """Print them."""
    if sys.stdout.isatty() and not options.force:
        raise UserError("there are keys in it: pipe it to kubectl, or say --force")
    from tortie.api.writing import yaml_text
    from tortie.install.certificates import new_certificates
    from tortie.install.manifests.objects import labelled
    from tortie.install.manifests.secrets import certificate_objects

    made = map(labelled, certificate_objects(new_certificates()))
    print("---\n".join(map(yaml_text, made)), end="")
    return 0
