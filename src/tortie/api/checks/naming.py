"""Names of objects, labels and interfaces."""

import re
from functools import lru_cache

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_INTERFACE = re.compile(r"\*|[a-zA-Z0-9_.-]{1,15}")
_INTERFACE_FILTER = re.compile(r"[a-zA-Z0-9:._+-]{1,15}")
_HEALTH_NAME = re.compile(r"[a-zA-Z0-9_ -]+")
_REMEMBERED = 65536


def dns_label(text: str) -> None:
    """A DNS label (RFC 1123): at most 63 lower-case letters, digits and "-"."""
    if not is_dns_label(text):
        raise ValueError(
            f"{text!r} is no DNS label: at most 63 lower-case letters, digits and '-', "
            "not '-' at either end"
        )


def is_dns_label(text: str) -> bool:
    """Whether it is a DNS label."""
    return len(text) <= 63 and bool(_DNS_LABEL.fullmatch(text))


@lru_cache(_REMEMBERED)
def dns_subdomain(text: str) -> None:
    """DNS labels joined with dots, at most 253 characters."""
    if len(text) > 253 or not _DNS_SUBDOMAIN.fullmatch(text):
        raise ValueError(
            f"{text!r} is no DNS name: at most 253 lower-case letters, digits, '-' and '.', "
            "each part with a letter or digit at both ends"
        )


@lru_cache(_REMEMBERED)
def qualified_name(text: str) -> None:
    """A label's or annotation's key: a name, with an optional DNS name and "/" before it."""
    prefix, slash, name = text.rpartition("/")
    if slash:
        dns_subdomain(prefix)
    if len(name) > 63 or not _QUALIFIED.fullmatch(name):
        raise ValueError(
            f"{text!r} is no label key: at most 63 letters, digits, '-', '_' and '.', with a "
            "letter or digit at both ends, after an optional 'dns.name/'"
        )


def annotation_key(text: str) -> None:
    """As for a label, in any case."""
    try:
        qualified_name(text.lower() if text.isascii() else text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no annotation key: at most 63 letters, digits, '-', '_' and '.', with "
            "a letter or digit at both ends, after an optional 'dns.name/'"
        ) from None


@lru_cache(_REMEMBERED)
def label_value(text: str) -> None:
    """At most 63 letters, digits, "-", "_" and ".", a letter or digit at both ends; or empty."""
    if text and (len(text) > 63 or not _QUALIFIED.fullmatch(text)):
        raise ValueError(
            f"{text!r} is no label value: at most 63 letters, digits, '-', '_' and '.', with a "
            "letter or digit at both ends"
        )


def interface(text: str) -> None:
    """A network interface's name, or "*"."""
    if not _INTERFACE.fullmatch(text):
        raise ValueError(f"{text!r} is no interface: '*', or 1 to 15 of A-Z a-z 0-9 _ . -")


def interface_filter(text: str) -> None:
    """An interface's name, or one with + at its end for all that begin so."""
    if not _INTERFACE_FILTER.fullmatch(text):
        raise ValueError(f"{text!r} is no interface filter: 1 to 15 of A-Z a-z 0-9 : . _ + -")


def interface_glob(text: str) -> None:
    """An interface's name in which * stands for anything."""
    interface(text.replace("*", "x"))


def health_name(text: str) -> None:
    """The name of a part of the agent."""
    if not _HEALTH_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name: letters, digits, '_', '-' and spaces")
