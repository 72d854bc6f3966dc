"""What people are told of an allocation. Pure."""

from collections.abc import Mapping


def whose(about: Mapping[str, str]) -> str:
    """Who has an address by its attributes: "Pod shop/web-1 on n1"; "" where they don't say."""
    node = about.get("node", "")
    name = about.get("type", "")
    if found := about.get("container"):
        name = f"container {found}"
    for kind in ("pod", "service"):
        if found := about.get(kind):
            name = f"{kind.capitalize()} {about.get('namespace', '')}/{found}"
    return f"{name or 'somebody'} on {node}" if node else name


def some(names: list[str], most: int = 10) -> str:
    """Names for people: the first ones, and how many more."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
