"""How a client reaches the servers: FELIX_TYPHA* by Calico's names, as one typed value."""

import re
from collections.abc import Mapping

from msgspec import Struct

from tortie.daemon import values
from tortie.fanout.certificates import Tls, TlsFiles
from tortie.fanout.environment import Given

NAMES = (
    *("TyphaAddr", "TyphaK8sServiceName", "TyphaK8sNamespace", "TyphaReadTimeout"),
    *("TyphaWriteTimeout", "TyphaCAFile", "TyphaCertFile", "TyphaKeyFile"),
    *("TyphaCN", "TyphaURISAN"),
)
"""What `client_settings` reads, after the prefix."""

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:/\s]+):([0-9]{1,5})")


class FanoutClientSettings(Struct, frozen=True, kw_only=True):
    """Servers by address, or by Kubernetes service where `service` is set. Times are seconds."""

    address: tuple[str, int] | None = None
    service: str = ""
    namespace: str = "kube-system"
    tls: Tls | None = None  # None: in the clear, for tests and closed networks
    read_timeout: float = 30.0
    write_timeout: float = 10.0

    @property
    def wanted(self) -> bool:
        """Whether the agent is to follow a fan-out server at all."""
        return self.address is not None or bool(self.service)


def client_settings(environ: Mapping[str, str], prefix: str = "FELIX_") -> FanoutClientSettings:
    """Read `prefix`TYPHA* from the environment, names in any case, over Calico's defaults.

    Raises FanoutSettingsError that names every wrong variable, what was found and what is allowed.
    """
    given = Given(environ, f"{prefix}TYPHA")
    tls = given.tls(
        TlsFiles("CAFILE", "CERTFILE", "KEYFILE", "CN", "URISAN"), "the servers' certificates"
    )
    settings = FanoutClientSettings(
        address=given.read("ADDR", server_address, None),
        service=given.read("K8SSERVICENAME", str, ""),
        namespace=given.read("K8SNAMESPACE", str, "kube-system"),
        tls=tls,
        read_timeout=given.read("READTIMEOUT", values.seconds, 30.0),
        write_timeout=given.read("WRITETIMEOUT", values.seconds, 10.0),
    )
    given.check()
    return settings


def server_address(text: str) -> tuple[str, int]:
    """ "host:port" as a pair; IPv6 addresses stand in brackets."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError('use host:port, such as "typha.example:5473" or "[fd00::1]:5473"')
    return found[1].strip("[]"), int(found[2])
