"""From fields to settings: which datastore, and every value checked before anything is opened."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from tortie.datastore.configuration.fields import ConfigurationError, Fields
from tortie.datastore.settings import (
    CRD_V1,
    CRD_V3,
    DatastoreSettings,
    EtcdSettings,
    KubernetesSettings,
    MemorySettings,
    SqliteSettings,
)

DEFAULT_PATH = "/var/lib/tortie/tortie.db"
_TYPES = ("etcdv3", "kubernetes", "sqlite")
_TRUE = frozenset({"1", "t", "true"})  # as Go reads them
_FALSE = frozenset({"0", "f", "false"})


def settings_of(fields: Fields) -> DatastoreSettings:
    """The datastore that the fields describe. Raises ConfigurationError for what can't be used."""
    match _type(fields):
        case "sqlite":
            return SqliteSettings(path=fields.text("sqlitePath") or DEFAULT_PATH)
        case "memory":
            return MemorySettings()
        case "etcdv3":
            return _etcd(fields)
        case _:
            return _kubernetes(fields)


def _type(fields: Fields) -> str:
    """The type that is named; else what else is said tells, by calicoctl's rules.

    Where nothing is said calicoctl takes the Kubernetes API; here, outside of a file, that is the
    embedded datastore. KUBECONFIG alone says nothing: it is kubectl's, and set on many machines
    whose `tortie` is not meant to write to that cluster.
    """
    named = fields.text("datastoreType")
    if named and named not in (*_TYPES, "memory"):
        raise ConfigurationError(
            f"{fields.name('datastoreType')}: there is no datastore {named!r}; there are"
            f" {', '.join(_TYPES)}"
        )
    if named:
        return named
    if "etcdEndpoints" in fields.given or "etcdDiscoverySrv" in fields.given:
        return "etcdv3"
    if "sqlitePath" in fields.given:
        return "sqlite"
    tells = ("k8sAPIEndpoint", "k8sCurrentContext")
    of_kubernetes = fields.in_file or any(field in fields.given for field in tells)
    return "kubernetes" if of_kubernetes else "sqlite"


def _etcd(fields: Fields) -> EtcdSettings:
    endpoints = _endpoints(fields)
    _together(fields, "etcdUsername", "etcdPassword")
    ca = _pem(fields, "etcdCACertFile", "etcdCACert")
    certificate = _pem(fields, "etcdCertFile", "etcdCert")
    key = _pem(fields, "etcdKeyFile", "etcdKey")
    pair = _pair(fields, certificate, key, ("etcdCertFile", "etcdCert"), ("etcdKeyFile", "etcdKey"))
    if endpoints[0].startswith("http:") and (ca or certificate):
        field = "etcdCertFile" if certificate else "etcdCACertFile"
        raise ConfigurationError(
            f"{fields.name('etcdEndpoints')} are http, so {fields.name(field)} would protect"
            " nothing: use https, or leave the certificates out"
        )
    if ca:
        _check_authorities(ca, _name_of(fields, "etcdCACertFile", "etcdCACert"))
    return EtcdSettings(
        endpoints=endpoints,
        username=fields.text("etcdUsername"),
        password=fields.text("etcdPassword"),
        ca=ca,
        certificate=pair[0],
        key=pair[1],
    )


def _endpoints(fields: Fields) -> tuple[str, ...]:
    name, text = fields.name("etcdEndpoints"), fields.text("etcdEndpoints")
    if not text and "etcdDiscoverySrv" in fields.given:
        raise ConfigurationError(
            f"{fields.name('etcdDiscoverySrv')}: members of etcd are not looked up in DNS here:"
            f" list them in {name}"
        )
    found = [_endpoint(one.strip(), name) for one in text.split(",") if one.strip()]
    if not found:
        raise ConfigurationError(
            f"{name}: no endpoint of etcd is given: name one, such as https://10.0.0.1:2379"
        )
    if len({one.partition(":")[0] for one in found}) > 1:
        raise ConfigurationError(
            f"{name}: {', '.join(found)} mix http and https: all must be one of them"
        )
    return tuple(dict.fromkeys(found))


def _endpoint(text: str, name: str) -> str:
    """One endpoint without a slash at its end."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    bare = url.scheme in ("http", "https") and url.hostname and port
    if not bare or "@" in url.netloc or url.path.strip("/") or url.query or url.fragment:
        hint = "; user and password have settings of their own" if "@" in text else ""
        shown = "what stands there" if "@" in text else repr(text)
        raise ConfigurationError(
            f"{name}: {shown} is no endpoint: write http://HOST:PORT or https://HOST:PORT{hint}"
        )
    return f"{url.scheme}://{url.netloc}"


def _kubernetes(fields: Fields) -> KubernetesSettings:
    certificate, key = _pem(fields, "k8sCertFile"), _pem(fields, "k8sKeyFile")
    _pair(fields, certificate, key, ("k8sCertFile",), ("k8sKeyFile",))
    ca = _pem(fields, "k8sCAFile")
    if ca:
        _check_authorities(ca, fields.name("k8sCAFile"))
    _boolean(fields, "k8sDisableNodePoll")  # nothing polls nodes here, so it is true anyway
    inline = fields.text("kubeconfigInline")
    return KubernetesSettings(
        kubeconfig="" if inline else _kubeconfig(fields),
        kubeconfig_text=inline,
        context=fields.text("k8sCurrentContext"),
        api_endpoint=_api_endpoint(fields),
        ca=ca,
        certificate=certificate,
        key=key,
        token=fields.text("k8sAPIToken"),
        insecure_skip_tls_verify=_boolean(fields, "k8sInsecureSkipTLSVerify"),
        qps=_number(fields, "k8sClientQPS") or KubernetesSettings().qps,
        burst=int(_number(fields, "k8sClientBurst")) or KubernetesSettings().burst,
        use_pod_cidr=_boolean(fields, "usePodCIDR"),
        api_group=_api_group(fields),
    )


def _kubeconfig(fields: Fields) -> str:
    """The file that is named; else kubectl's own, where there is one and nothing else is said."""
    if path := fields.text("kubeconfig"):
        several = path.split(os.pathsep)  # of which those that are not there are passed over
        for each in several:
            if not _is_readable(each) and (len(several) == 1 or os.path.exists(each)):
                raise ConfigurationError(
                    f"{fields.name('kubeconfig')}: {each}: {_unreadable(each)}"
                )
        return path
    if fields.text("k8sAPIEndpoint"):
        return ""
    default = os.path.expanduser("~/.kube/config")
    return default if _is_readable(default) else ""


def _is_readable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.R_OK)


def _api_endpoint(fields: Fields) -> str:
    text = fields.text("k8sAPIEndpoint")
    try:
        url = urlsplit(text)
        sound = not text or (url.scheme in ("http", "https") and bool(url.hostname))
        sound = sound and (url.port or True) and "@" not in url.netloc
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError(
            f"{fields.name('k8sAPIEndpoint')}: this is no address of a Kubernetes API: write"
            " https://HOST:PORT"
        )
    return text.rstrip("/")


def _api_group(fields: Fields) -> str:
    text = fields.text("calicoAPIGroup") or CRD_V1
    if text not in (CRD_V1, CRD_V3):
        raise ConfigurationError(
            f"{fields.name('calicoAPIGroup')}: there is no group {text!r}; there are {CRD_V1} and"
            f" {CRD_V3}"
        )
    return text


def _boolean(fields: Fields, field: str) -> bool:
    text = fields.text(field)
    if text and text.lower() not in _TRUE | _FALSE:
        raise ConfigurationError(f"{fields.name(field)}: {text!r} is neither true nor false")
    return text.lower() in _TRUE


def _number(fields: Fields, field: str) -> float:
    """A number of requests; 0 where none is given, which Calico takes for its default too."""
    text = fields.text(field)
    try:
        found = float(text or 0)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1_000_000:
        raise ConfigurationError(
            f"{fields.name(field)}: {text!r} is no number of requests: use one above 0"
        )
    return found


def _together(fields: Fields, *names: str) -> None:
    given = [name for name in names if name in fields.given]
    if given and len(given) < len(names):
        missing = next(name for name in names if name not in given)
        raise ConfigurationError(
            f"{fields.name(given[0])} is given without {fields.name(missing)}: give both or none"
        )


def _pem(fields: Fields, file: str, inline: str = "") -> bytes:
    """The PEM that a file, or the configuration itself, holds."""
    if inline and inline in fields.given and file in fields.given:
        raise ConfigurationError(
            f"{fields.name(inline)} and {fields.name(file)} are both given: leave one out"
        )
    if inline and inline in fields.given:
        return _checked(fields.text(inline).encode(), fields.name(inline))
    path = fields.text(file)
    if not path:
        return b""
    try:
        return _checked(Path(path).read_bytes(), f"{fields.name(file)}: {path}")
    except OSError:
        raise ConfigurationError(f"{fields.name(file)}: {path}: {_unreadable(path)}") from None


def _checked(data: bytes, name: str) -> bytes:
    if b"-----BEGIN " not in data:
        raise ConfigurationError(
            f"{name}: there is no PEM in it: it must have a line with -----BEGIN"
        )
    return data


def _pair(
    fields: Fields,
    certificate: bytes,
    key: bytes,
    certificate_fields: tuple[str, ...],
    key_fields: tuple[str, ...],
) -> tuple[bytes, bytes]:
    """A certificate and the key to it, or neither."""
    if not certificate and not key:
        return b"", b""
    names = _name_of(fields, *certificate_fields), _name_of(fields, *key_fields)
    if not (certificate and key):
        there, missing = names if certificate else names[::-1]
        raise ConfigurationError(f"{there} is given without {missing}: give both or none")
    from tortie.datastore.configuration.pem import problem_with_pair

    if problem := problem_with_pair(certificate, key):
        raise ConfigurationError(f"{names[0]} and {names[1]}: {problem}")
    return certificate, key


def _check_authorities(ca: bytes, name: str) -> None:
    from tortie.datastore.configuration.pem import problem_with_authorities

    if problem := problem_with_authorities(ca):
        raise ConfigurationError(f"{name}: {problem}")


def _name_of(fields: Fields, *names: str) -> str:
    """The name of the one that is given; else of the first."""
    return fields.name(next((name for name in names if name in fields.given), names[0]))


def _unreadable(path: str) -> str:
    """Why a file can't be read, in words."""
    try:
        with open(path, "rb"):
            return "it can't be read"
    except OSError as error:
        return f"{(error.strerror or str(error)).lower()}: name a file that can be read"
