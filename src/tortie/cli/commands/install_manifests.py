"""Print the manifests of an installation, for kubectl, for git or for a look.

  tortie install manifests --encap vxlan | kubectl apply --server-side -f -
  tortie install manifests --typha 3 --dataplane iptables --pool 10.48.0.0/16
  tortie install manifests --policy-only --cloud aws
  tortie install manifests --datastore etcd --etcd-endpoints http://etcd:2379

The same choices always print the same text. Nothing is asked of any cluster. `manifests/` has what
most people want.
"""

import argparse

from tortie.cli.commands.crds import release
from tortie.cli.installing import add_choices, choices_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """The choices."""
    add_choices(parser)
    parser.add_argument(
        "--kubernetes",
        metavar="RELEASE",
        type=release,
        help="for API servers of this release and later (default: 1.31)",
    )
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml")


def run(options: argparse.Namespace) -> int:
    """Print them."""
    from tortie.api.crds import WHOLE
    from tortie.install.manifests.bundle import bundle
    from tortie.install.manifests.text import text

    made, wanted = choices_of(options), options.kubernetes or WHOLE
    if options.output == "json":
        import msgspec

        listed = {"apiVersion": "v1", "kind": "List", "items": bundle(made, wanted)}
        print(msgspec.json.format(msgspec.json.encode(listed)).decode())
    else:
        print(text(made, wanted), end="")
    return 0
