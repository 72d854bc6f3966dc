"""Resources as YAML text that every reader of YAML takes the same way."""

from collections.abc import Iterable
from typing import Any

import yaml

from tortie.api.codec import to_manifest
from tortie.api.documents import resolve
from tortie.api.meta import Resource

_BOOLEANS_ELSEWHERE = frozenset({"y", "Y", "n", "N", "=", "<<"})


class _Dumper(yaml.CSafeDumper):
    """Quotes text that would be read back as something else, here or by a YAML 1.1 reader."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    if "\n" in value:  # in lines, as people write it; where YAML can't say it so, in quotes
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|")
    plain = isinstance(resolve(value), str) and value not in _BOOLEANS_ELSEWHERE
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else "'")


_Dumper.add_representer(str, _text)


def to_yaml(resources: Iterable[Resource]) -> str:
    """The resources as documents of YAML, in order."""
    return "".join(f"---\n{yaml_text(to_manifest(resource))}" for resource in resources)


def yaml_text(data: Any) -> str:
    """One document of plain dicts, lists and scalars."""
    written: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return written
