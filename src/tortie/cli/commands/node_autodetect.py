"""Say which of this machine's addresses would be the node's, and why.

tortie node autodetect
tortie node autodetect --ip-autodetection-method can-reach=192.0.2.1
tortie node autodetect --ip-autodetection-method interface=eth.*,en.* -o json

Without options, by IP_AUTODETECTION_METHOD and IP6_AUTODETECTION_METHOD of the environment, as the
node does when IP or IP6 is "autodetect". Nothing is written anywhere.
"""

import argparse
import json
import os
from typing import TYPE_CHECKING

from tortie.cli.errors import UserError
from tortie.cli.terminal import paint, table

if TYPE_CHECKING:
    from tortie.node.autodetect import Detection, Method

FIRST_FOUND = "first-found"


def arguments(parser: argparse.ArgumentParser) -> None:
    """By which methods."""
    parser.add_argument(
        "--ip-autodetection-method", metavar="METHOD", help="for IPv4 (default: first-found)"
    )
    parser.add_argument("--ip6-autodetection-method", metavar="METHOD", help="for IPv6, likewise")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")


def run(options: argparse.Namespace) -> int:
    """Look; status 1 where there is no IPv4 address and no IPv6 address."""
    from tortie.node.autodetect import detect, parse_method
    from tortie.node.surroundings import surroundings

    methods: list[Method] = []
    for option, variable in (
        (options.ip_autodetection_method, "IP_AUTODETECTION_METHOD"),
        (options.ip6_autodetection_method, "IP6_AUTODETECTION_METHOD"),
    ):
        try:
            methods.append(parse_method(option or os.environ.get(variable) or FIRST_FOUND))
        except ValueError as error:
            raise UserError(str(error)) from None
    around = surroundings(methods)
    found = {
        version: detect(method, version, around)
        for version, method in zip((4, 6), methods, strict=True)
    }
    print(_json(found) if options.output == "json" else _text(found))
    return 0 if any(one.address for one in found.values()) else 1


def _text(found: "dict[int, Detection]") -> str:
    return "\n\n".join(_one(version, one) for version, one in found.items())


def _one(version: int, found: "Detection") -> str:
    address = paint(str(found.address), "bold") if found.address else paint("none", "red")
    rows = [
        (look.held.interface, str(look.held.address), look.objection or "this one")
        for look in found.looks
    ]
    head = f"IPv{version}: {address} ({found.reason})"
    return "\n".join((head, table(("INTERFACE", "ADDRESS", "WHY"), rows))) if rows else head


def _json(found: "dict[int, Detection]") -> str:
    return json.dumps(
        {
            f"ipv{version}": {
                "address": str(one.address) if one.address else None,
                "reason": one.reason,
                "looks": [
                    {
                        "interface": look.held.interface,
                        "address": str(look.held.address),
                        "objection": look.objection,
                    }
                    for look in one.looks
                ],
            }
            for version, one in found.items()
        },
        indent=2,
    )
