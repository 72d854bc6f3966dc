"""Variables of one prefix, read one by one; all that is wrong is told at once."""

import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from tortie.fanout.certificates import Tls, TlsFiles

T = TypeVar("T")
D = TypeVar("D")


class FanoutSettingsError(ValueError):
    """One or more settings can't be used; `str()` has one line for each."""


class Given:
    """What the environment says under `prefix`. Names count in any case; "" is not given."""

    def __init__(self, environ: Mapping[str, str], prefix: str) -> None:
        self._prefix = prefix
        self._given = {
            variable[len(prefix) :].upper(): (variable, text.strip())
            for variable, text in environ.items()
            if variable.upper().startswith(prefix) and text.strip()
        }
        self._asked: set[str] = set()
        self._errors: list[str] = []

    def read(self, name: str, reader: Callable[[str], T], default: D) -> T | D:
        """The value of one variable; `reader` raises ValueError that says what is allowed."""
        self._asked.add(name.upper())
        if name.upper() not in self._given:
            return default
        variable, text = self._given[name.upper()]
        try:
            return reader(text)
        except ValueError as problem:
            self._errors.append(f"{variable}={text!r}: {problem}")
            return default

    def tls(self, names: TlsFiles, whose: str) -> Tls | None:
        """Mutual TLS, if any of its settings is given; then all must be, but one of the names."""
        tls = Tls(*(self.read(name, str, "") for name in names))
        if tls == Tls("", "", ""):
            return None
        missing = [
            f"{self._prefix}{name}"
            for name, text in zip(names[:3], (tls.ca, tls.certificate, tls.key), strict=True)
            if not text
        ]
        if not tls.peer_name and not tls.peer_uri:
            missing.append(f"{self._prefix}{names.name} or {self._prefix}{names.uri}")
        if missing:
            self._errors.append(f"{', '.join(missing)} must be set too: TLS here checks both sides")
        else:
            self._check_files(tls, names, whose)
        return tls

    def problem(self, text: str) -> None:
        """Something that only several variables together show."""
        self._errors.append(text)

    def not_asked(self, known: Iterable[str] = ()) -> list[str]:
        """Variables that nobody reads, as they are written; `known` ones are read elsewhere."""
        passed = self._asked | {name.upper() for name in known}
        return sorted(v for name, (v, _) in self._given.items() if name not in passed)

    def check(self) -> None:
        """Raise FanoutSettingsError if anything was wrong."""
        if self._errors:
            raise FanoutSettingsError("\n".join(self._errors))

    def _check_files(self, tls: Tls, names: TlsFiles, whose: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._try(
            [names.ca],
            f"no PEM certificates of the authority of {whose}",
            lambda: context.load_verify_locations(tls.ca),
        )
        self._try(
            [names.certificate, names.key],
            "no PEM certificate and the key of it",
            lambda: context.load_cert_chain(tls.certificate, tls.key, password=_none),
        )

    def _try(self, names: list[str], otherwise: str, load: Callable[[], None]) -> None:
        said = " ".join("{}={!r}".format(*self._given[name]) for name in names)
        try:
            load()
        except ssl.SSLError:
            self._errors.append(f"{said}: {otherwise}")
        except (OSError, ValueError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            self._errors.append(f"{said}: can't be read: {reason}")


def _none() -> str:
    raise ValueError("the key has a password; use one without")
