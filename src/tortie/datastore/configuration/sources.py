"""Where settings are written: a file, the environment, Felix's variables, a command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tortie.datastore.configuration.fields import (
    ALSO,
    BY_FIELD,
    PARAMETERS,
    ConfigurationError,
    Fields,
    Given,
)

_API_VERSION, _KIND = "projectcalico.org/v3", "CalicoAPIConfig"
_TOP = ("apiVersion", "kind", "metadata", "spec")
_SCHEMES = {
    "sqlite": ("sqlite", "sqlitePath"),
    "etcd": ("etcdv3", "etcdEndpoints"),
    "etcdv3": ("etcdv3", "etcdEndpoints"),
    "kubernetes": ("kubernetes", "kubeconfig"),
}


def from_environment(environ: Mapping[str, str]) -> Fields:
    """By calicoctl's rule: CALICO_ETCD_ENDPOINTS, else ETCD_ENDPOINTS; an empty one is none."""
    given = {}
    for parameter in PARAMETERS:
        for name in parameter.variables:
            if text := environ.get(name, "").strip():
                given[parameter.field] = Given(text, f"${name}")
                break
    return Fields(given, "from the environment")


def for_daemon(environ: Mapping[str, str], prefix: str) -> Fields:
    """The environment as a daemon reads it: FELIX_* or TYPHA_* over the plain names."""
    prefixed = _Prefixed(environ, prefix)
    found = ((each.field, prefixed.given(each.felix)) for each in PARAMETERS if each.felix)
    given = {field: value for field, value in found if value}
    if "etcdEndpoints" not in given and (address := prefixed.given("EtcdAddr")):
        scheme = prefixed.given("EtcdScheme")
        if scheme and scheme.text not in ("http", "https"):
            raise ConfigurationError(f"{scheme.name}: {scheme.text!r} is neither http nor https")
        text = f"{scheme.text if scheme else 'http'}://{address.text}"
        given["etcdEndpoints"] = Given(text, address.name)
    return Fields(given, "from the environment").over(from_environment(environ))


class _Prefixed:
    """Variables by what stands behind a prefix, in any case, as Felix reads them."""

    def __init__(self, environ: Mapping[str, str], prefix: str) -> None:
        self._environ, self._prefix = environ, prefix
        self._names = {name.casefold(): name for name in environ}

    def given(self, bare: str) -> Given | None:
        """The variable, where it says anything: "none" is Felix's word for no value."""
        name = self._names.get(f"{self._prefix}{bare}".casefold())
        text = self._environ[name].strip() if name else ""
        return Given(text, f"${name}") if text and text.casefold() != "none" else None


def from_location(location: str, others: Fields, option: str = "--datastore") -> Fields:
    """What a person named in a word: PATH, sqlite:PATH, memory:, etcd:ENDPOINTS, kubernetes:FILE.

    ENDPOINTS and FILE may be absent; what the word does not say is as in `others`.
    """
    scheme, colon, rest = location.partition(":")
    if not colon or "/" in scheme:
        scheme, rest = "sqlite", location
    shown = location if "@" not in location else f"{scheme}:..."  # a password stands there
    name = f"{option} {shown}"
    if location == "memory:":
        return Fields({"datastoreType": Given("memory", name)}, f"from {option}")
    if scheme not in _SCHEMES or (scheme == "sqlite" and not rest):
        raise ConfigurationError(
            f"{option}: {shown!r} names no datastore: use a path, sqlite:PATH, memory:,"
            " etcd:ENDPOINTS or kubernetes:KUBECONFIG"
        )
    type_, field = _SCHEMES[scheme]
    given = {"datastoreType": Given(type_, name)}
    if rest:
        given[field] = Given(rest, name)
    found = Fields(given, f"from {option}").over(others)
    if field == "kubeconfig" and rest:
        found.given.pop("kubeconfigInline", None)
    return found


def from_file(path: str | Path) -> Fields:
    """A CalicoAPIConfig. Raises ConfigurationError for what is none, and for unknown fields."""
    import yaml

    try:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the configuration can't be read: {(error.strerror or str(error)).lower()}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    found = (config.get("apiVersion"), config.get("kind")) if isinstance(config, dict) else None
    if found != (_API_VERSION, _KIND):
        raise ConfigurationError(
            f"{path} is no configuration: apiVersion must be {_API_VERSION}, kind {_KIND}"
        )
    _check_known(config, _TOP, f"{path}: ")
    return Fields(_spec(config.get("spec"), str(path)), f"from {path}", in_file=True)


def _spec(spec: object, path: str) -> dict[str, Given]:
    if spec is None:
        return {}
    if not isinstance(spec, dict):
        raise ConfigurationError(f"{path}: spec must be an object with fields")
    _check_known(spec, (*BY_FIELD, *ALSO), f"{path}: spec.")
    given = {}
    for field, value in spec.items():
        if text := _as_text(value, f"{path}: spec.{field}"):
            given[_field(field)] = Given(text, f"{path}: spec.{field}")
    return given


def _field(written: str) -> str:
    return ALSO.get(written, written)


def _as_text(value: object, name: str) -> str:
    """A scalar as the environment would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str | int | float):
        return "" if value is None else str(value).strip()
    raise ConfigurationError(f"{name} must be one value, not a list or an object")


def _check_known(found: dict[Any, object], known: tuple[str, ...], where: str) -> None:
    for field in found:
        if field not in known:
            raise ConfigurationError(f"{where}{field} is no field{_hint(str(field), known)}")


def _hint(found: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    folded = {name.casefold(): name for name in known if name}
    near = get_close_matches(found.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]}?" if near else f"; there are {', '.join(known)}"
