"""Say whether a connection would pass, and which rules decide it.

  tortie trace --from shop/web-1 --to shop/db --port 5432/tcp
  tortie trace --from 10.0.0.7 --to svc/shop/web --port 80 -f manifests/

An end is namespace/pod, an address, a node, "outside", or (--to) a service.
With -f the question is asked of files alone: pods get addresses (of the
families that the IPPools have, else of both), Deployments and their like count
as a pod each, namespaces that are only named are there.
Status 0 if it is allowed, 2 if it is denied, 1 where anything is wrong.
"""

import argparse
import json

from tortie.cli import whatif
from tortie.cli.errors import UserError
from tortie.cli.terminal import paint
from tortie.trace.ends import UnknownEnd
from tortie.trace.questions import NoQuestion, parse_port
from tortie.trace.tracing import as_data, as_text, ask

ALLOWED, DENIED = 0, 2


def arguments(parser: argparse.ArgumentParser) -> None:
    """The two ends, the port, and the cluster."""
    parser.add_argument("--from", dest="source", metavar="END", required=True, help="who connects")
    parser.add_argument("--to", dest="destination", metavar="END", required=True, help="to whom")
    parser.add_argument(
        "--port", required=True, help="80/tcp, 53/udp, icmp, icmp/8/0; a number alone is TCP"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    whatif.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Ask, print, and answer by the status. Raises UserError, DatastoreError."""
    try:
        port = parse_port(options.port)
        cluster = whatif.cluster_from(options)
        answer = ask(cluster, options.source, options.destination, port)
    except (UnknownEnd, NoQuestion) as error:
        raise UserError(str(error)) from None
    if options.output == "json":
        print(json.dumps(as_data(answer), indent=2))
    else:
        head, _, rest = as_text(cluster, answer).partition("\n")
        print(paint(head, "green" if answer.allowed else "red"), rest, sep="\n")
    return ALLOWED if answer.allowed else DENIED
