"""What the types' own docstrings say of each kind and field, in the API's words.

A field's line stands below it in its class, where Python forgets it; so it is read from the source,
and only when somebody asks: agents pay nothing for it.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from msgspec import Struct

from tortie.api.fields import api_name

_QUOTED = re.compile(r"`([a-z][a-z0-9_]*)`")


def of_type(type_: type[Struct]) -> str:
    """What a kind or an object inside one is: its class's first paragraph, on one line."""
    first = inspect.cleandoc(type_.__doc__ or "").partition("\n\n")[0]
    return _spelt(type_, " ".join(first.split()))


def of_field(type_: type[Struct], field: str) -> str:
    """What the docstring below a field says, on one line; "" where there is none.

    `field` is our name of it, in `type_` or a class above.
    """
    for class_ in type_.__mro__:
        if found := _in_module(class_.__module__).get((class_.__qualname__, field)):
            return _spelt(type_, found)
    return ""


def _spelt(type_: type[Struct], text: str) -> str:
    """Names of our fields as the API has them: "`max_length`" is `maxLength`."""
    known = dict(zip(type_.__struct_fields__, type_.__struct_encode_fields__, strict=True))
    return _QUOTED.sub(lambda found: f"`{known.get(found[1]) or api_name(found[1])}`", text)


@cache
def _in_module(name: str) -> dict[tuple[str, str], str]:
    """Class and field → docstring, of all classes of a module; none where there is no source."""
    try:
        source = inspect.getsource(sys.modules[name])
    except (OSError, TypeError):  # built in, or shipped compiled
        return {}
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return {(node.name, field): text for node in classes for field, text in _documented(node)}


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for above, below in pairwise(node.body):
        match above, below:
            case (
                ast.AnnAssign(target=ast.Name(field)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield field, " ".join(text.split())
