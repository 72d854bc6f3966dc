"""Print CustomResourceDefinitions, so that a Kubernetes API server keeps Calico's kinds.

  tortie crds | kubectl apply --server-side -f -    all kinds, both groups
  tortie crds --group projectcalico.org gnp tiers   some, without an API server
  tortie crds --kubernetes 1.30                     for API servers before 1.31

The definitions of projectcalico.org/v3 judge objects as `tortie validate` does. Those of
crd.projectcalico.org/v1 take what an aggregated API server has judged before. API servers before
1.31 can't judge addresses: --kubernetes leaves out what the release named does not know.
"""

import argparse

from tortie.api import Kind, kind_named
from tortie.api.crds import CUSTOM_KINDS, GROUPS, WHOLE, Release, definitions, parse_release
from tortie.cli.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which kinds, in which group."""
    parser.add_argument("kinds", metavar="KIND", nargs="*", help="only these kinds")
    parser.add_argument("--group", choices=tuple(GROUPS), help="only this group")
    parser.add_argument(
        "--kubernetes",
        metavar="RELEASE",
        type=release,
        default=WHOLE,
        help=f"for API servers of this release and later (default: {WHOLE})",
    )
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml")


def run(options: argparse.Namespace) -> int:
    """Print them."""
    kinds = [_custom(kind_named(word)) for word in options.kinds] or list(CUSTOM_KINDS)
    groups = [options.group] if options.group else list(GROUPS)
    found = [each for group in groups for each in definitions(group, kinds, options.kubernetes)]
    if options.output == "json":
        import msgspec

        listed = {"apiVersion": "v1", "kind": "List", "items": found}
        print(msgspec.json.format(msgspec.json.encode(listed)).decode())
    else:
        from tortie.api.writing import yaml_text

        print("".join(f"---\n{yaml_text(each)}" for each in found), end="")
    return 0


def release(text: str) -> Release:
    """A release that a person named, for argparse."""
    try:
        return parse_release(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _custom(kind: Kind) -> str:
    if kind.name not in CUSTOM_KINDS:
        raise UserError(f"Kubernetes keeps no {kind.name} as a custom resource of Calico's")
    return kind.name
