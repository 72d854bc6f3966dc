"""What is installed where: Calico's variables of its install-cni container, and options over them.

Two paths stand for each folder. What the host calls it goes into what is written; where it is
written is another one where the installer runs in a container, which sees the host's below /host.
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tortie.cni.installer.errors import InstallError
from tortie.cni.installer.variables import Variables, absolute, wrong

HOST = Path("/host")
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONF_NAME = "10-calico.conflist"
_SHORTEST, _LONGEST = 600, 30 * 86400  # seconds of a token's life; less than 600 no server gives
_CONFIGURATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.(conf|conflist|json)")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?")
_ACCOUNT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class Server(Struct, frozen=True):
    """The API server as pods and this host reach it."""

    protocol: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """https://10.96.0.1:443; an IPv6 address in brackets."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.protocol}://{shown}:{self.port}"


class InstallSettings(Struct, frozen=True, kw_only=True):
    """Everything that the installer goes by. `bin_dir`, `conf_dir`: where to write."""

    bin_dir: Path = Path("/opt/cni/bin")
    conf_dir: Path = Path("/etc/cni/net.d")
    host_bin_dir: Path = Path("/opt/cni/bin")
    host_conf_dir: Path = Path("/etc/cni/net.d")
    conf_name: str = CONF_NAME
    old_conf_name: str = ""
    network_config: str = ""  # a template; "": generated
    values: tuple[tuple[str, str], ...] = ()  # of the template's placeholders
    mtu: int = 0
    agent_socket: str = ""
    skip: frozenset[str] = frozenset()
    update: bool = True
    own_interpreter: bool = False
    plugins: Path | None = None  # where standard plugins are copied from
    server: Server | None = None
    account: Path = ACCOUNT
    account_name: str = "calico-cni-plugin"
    ca_file: Path | None = None
    insecure: bool = False
    token_seconds: int = 86400
    refresh_seconds: float = 0  # 0: at half of a token's life
    kubeconfig_mode: int = 0o600
    watch: bool = False


def read_settings(
    environ: Mapping[str, str], options: Mapping[str, object], host: Path = HOST
) -> InstallSettings:
    """The settings by the environment, and by options that were given. Raises InstallError.

    `host` is where a container sees the host's folders, if it does.
    """
    read = Variables(environ)
    bin_dir, host_bin = _folders(read, "CNI_BIN_DIR", "opt/cni/bin", host, options.get("bin_dir"))
    conf_dir, host_conf = _folders(
        read, "CNI_NET_DIR", "etc/cni/net.d", host, options.get("conf_dir")
    )
    inside = bin_dir.is_relative_to(host)
    settings = InstallSettings(
        bin_dir=bin_dir,
        conf_dir=conf_dir,
        host_bin_dir=host_bin,
        host_conf_dir=host_conf,
        conf_name=read.matching(
            "CNI_CONF_NAME", CONF_NAME, _CONFIGURATION, "a file's name ending in .conflist or .conf"
        ),
        old_conf_name=read.matching(
            "CNI_OLD_CONF_NAME", "", _CONFIGURATION, "a file's name ending in .conflist or .conf"
        ),
        network_config=_template(read),
        values=_values(environ),
        mtu=read.number("CNI_MTU", 0, 0, 65535),
        agent_socket=str(read.path("TORTIE_AGENT_SOCKET") or ""),
        skip=read.names("SKIP_CNI_BINARIES"),
        update=read.truth("UPDATE_CNI_BINARIES", default=True),
        own_interpreter=read.truth("TORTIE_CNI_OWN_INTERPRETER", default=inside),
        plugins=read.path("CNI_PLUGINS_DIR") or (Path("/usr/lib/cni") if inside else None),
        server=_server(read),
        account_name=read.matching(
            "CALICO_CNI_SERVICE_ACCOUNT", "calico-cni-plugin", _ACCOUNT_NAME, "an account's name"
        ),
        ca_file=read.path("KUBE_CA_FILE"),
        insecure=read.truth("SKIP_TLS_VERIFY", default=False),
        token_seconds=read.number("CNI_TOKEN_LIFETIME", 86400, _SHORTEST, _LONGEST),
        refresh_seconds=read.number("CNI_TOKEN_REFRESH_INTERVAL", 0, 0, _LONGEST),
        kubeconfig_mode=read.mode("KUBECONFIG_MODE", 0o600),
        watch=read.truth("SLEEP", default=False),
    )
    return _by_options(settings, options)


def _by_options(settings: InstallSettings, options: Mapping[str, object]) -> InstallSettings:
    given = {
        name: options[name]
        for name in ("own_interpreter", "watch", "account", "plugins", "agent_socket")
        if options.get(name) is not None
    }
    name = options.get("conf_name")
    if name is not None:
        if not _CONFIGURATION.fullmatch(str(name)):
            raise wrong("--conf-name", str(name), "a file's name ending in .conflist or .conf")
        given["conf_name"] = name
    if "agent_socket" in given:
        given["agent_socket"] = str(absolute("--agent-socket", str(given["agent_socket"])))
    return replace(settings, **given)


def _folders(
    read: Variables, variable: str, usual: str, host: Path, given: object
) -> tuple[Path, Path]:
    """Where to write, and what the host calls it."""
    called = read.path(variable)
    if given is not None:
        folder = absolute("the folder", str(given))
        return folder, called or folder
    if (host / usual).is_dir():
        return host / usual, called or Path("/") / usual
    folder = called or Path("/") / usual
    return folder, folder


def _template(read: Variables) -> str:
    text = read.environ.get("CNI_NETWORK_CONFIG", "")
    file = read.path("CNI_NETWORK_CONFIG_FILE")
    if text and file:
        raise InstallError("CNI_NETWORK_CONFIG and CNI_NETWORK_CONFIG_FILE are both set: use one")
    if file is None:
        return text
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is no text"
        raise InstallError(f"CNI_NETWORK_CONFIG_FILE: {file} can't be read: {reason}") from None


def _values(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Of placeholders, with Calico's defaults."""
    defaults = {
        "LOG_LEVEL": "info",
        "LOG_FILE_PATH": "/var/log/calico/cni/cni.log",
        "LOG_FILE_MAX_SIZE": "100",
        "LOG_FILE_MAX_AGE": "30",
        "LOG_FILE_MAX_COUNT": "10",
        "DATASTORE_TYPE": "kubernetes",
        "KUBERNETES_SERVICE_PROTOCOL": "https",
        "KUBERNETES_SERVICE_HOST": "",
        "KUBERNETES_SERVICE_PORT": "",
        "ETCD_ENDPOINTS": "",
        "ETCD_DISCOVERY_SRV": "",
        "ETCD_KEY_FILE": "",
        "ETCD_CERT_FILE": "",
        "ETCD_CA_CERT_FILE": "",
    }
    found = {name: environ.get(name, "") or default for name, default in defaults.items()}
    node = environ.get("KUBERNETES_NODE_NAME", "") or environ.get("NODENAME", "")
    return (*found.items(), ("KUBERNETES_NODE_NAME", node))


def _server(read: Variables) -> Server | None:
    host = read.environ.get("KUBERNETES_SERVICE_HOST", "").strip("[]")
    if not host:
        return None
    if not _HOSTNAME.fullmatch(host) and not _is_address(host):
        raise wrong("KUBERNETES_SERVICE_HOST", host, "an address or a host's name")
    port = read.number("KUBERNETES_SERVICE_PORT", 443, 1, 65535)
    protocol = read.matching(
        "KUBERNETES_SERVICE_PROTOCOL", "https", re.compile("https?"), "https or http"
    )
    return Server(protocol, host, port)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
