"""Change fields of stored resources.

  tortie patch ippool main -p '{"spec": {"natOutgoing": true}}'
  tortie patch gnp web -t json -p '[{"op": "remove", "path": "/spec/order"}]'
  tortie patch gnp/deny --patch-file change.yaml

A merge patch has the fields to be changed; null removes one, a list is replaced as a whole.
`strategic` is the same, since no list of these kinds has a merge key. What comes out is checked as
a manifest is.
"""

import argparse
from pathlib import Path
from typing import Any

from tortie.cli import configuration, datastore, outcomes, selection
from tortie.cli.editing import edit_all, editing
from tortie.cli.errors import UserError
from tortie.cli.patching import PATCHED
from tortie.datastore import Datastore


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to change, and how."""
    selection.add_words(parser)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("-p", "--patch", metavar="PATCH", help="JSON or YAML")
    given.add_argument("--patch-file", metavar="FILE", help="the same, in a file")
    parser.add_argument("-t", "--type", choices=tuple(PATCHED), default="strategic")
    selection.add_namespace_options(parser, everywhere=False)
    selection.add_change_options(parser)
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Patch; status 1 where anything was not there or is not right afterwards."""
    if not options.kind:
        raise UserError("say what to patch: KIND NAME…, or KIND/NAME…")
    targets = selection.targets_of(selection.words_of(options))
    keys = selection.keys_of(targets, options.namespace)
    patch, patched = _patch(options), PATCHED[options.type]
    if not isinstance(patch, dict) and options.type != "json":
        raise UserError("a merge patch is an object: {spec: {field: value}}")
    plan = editing(lambda manifest: patched(manifest, patch))

    async def change(store: Datastore) -> int:
        done = await edit_all(store, keys, plan, options.dry_run)
        done = outcomes.faulted(done, outcomes.NO_SUCH)
        return outcomes.report(done, options.output, options.dry_run)

    return datastore.read_from(options, change)


def _patch(options: argparse.Namespace) -> Any:
    from tortie.api.documents import YamlError, read_documents

    source = options.patch_file or "--patch"
    text = Path(options.patch_file).read_text() if options.patch_file else options.patch
    documents = list(read_documents(text))
    for document in documents:
        if isinstance(document, YamlError):
            raise UserError(f"{source}: line {document.line}: {document.message}")
        if len(documents) == 1:
            return document.data
    raise UserError(f"{source}: one JSON or YAML document is needed, found {len(documents)}")
