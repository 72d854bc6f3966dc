"""Settings by Calico's names: what is right is read, what is wrong is named with what to do."""

import re

import pytest

from tortie.fanout.certificates import Tls
from tortie.fanout.environment import FanoutSettingsError
from tortie.fanout.server_settings import ServerSettings, server_settings
from tortie.fanout.settings import FanoutClientSettings, client_settings


@pytest.fixture
def files(pki):
    pair = pki.issue("x")
    return str(pki.ca_file), str(pair.certificate_file), str(pair.key_file)


def test_nothing_set_is_calicos_defaults():
    assert client_settings({}) == FanoutClientSettings()
    assert not client_settings({}).wanted
    settings, warnings = server_settings({"PATH": "/bin", "FELIX_TYPHAADDR": "a:1"})
    assert settings == ServerSettings()
    assert (settings.port, settings.health_port, settings.metrics_port) == (5473, 9098, 9093)
    assert ["no TLS" in warning for warning in warnings] == [True]


def test_a_client_s_settings_are_read_in_any_case(files):
    ca, certificate, key = files
    settings = client_settings(
        {
            "FELIX_TyphaAddr": "typha.example:5473",
            "FELIX_TYPHAK8SSERVICENAME": "calico-typha",
            "FELIX_TyphaK8sNamespace": "calico-system",
            "FELIX_TYPHACAFILE": ca,
            "FELIX_TYPHACERTFILE": certificate,
            "FELIX_TYPHAKEYFILE": key,
            "FELIX_TYPHAURISAN": "spiffe://typha",
            "FELIX_TYPHAREADTIMEOUT": "2.5",
            "FELIX_TYPHAWRITETIMEOUT": " ",
        }
    )
    assert settings.address == ("typha.example", 5473)
    assert (settings.service, settings.namespace) == ("calico-typha", "calico-system")
    assert settings.tls == Tls(ca, certificate, key, "", "spiffe://typha")
    assert (settings.read_timeout, settings.write_timeout) == (2.5, 10.0)
    assert settings.wanted


def test_a_server_s_settings_are_read_in_any_case(files):
    ca, certificate, key = files
    settings, warnings = server_settings(
        {
            "TYPHA_CAFILE": ca,
            "TYPHA_SERVERCERTFILE": certificate,
            "TYPHA_SERVERKEYFILE": key,
            "TYPHA_ClientCN": "typha-client",
            "TYPHA_LOGSEVERITYSCREEN": "critical",
            "TYPHA_CONNECTIONREBALANCINGMODE": "Kubernetes",
            "TYPHA_MAXCONNECTIONSLOWERLIMIT": "5",
            "TYPHA_SHUTDOWNTIMEOUTSECS": "60",
            "TYPHA_SERVERPORT": "0",
            "TYPHA_ETCDENDPOINTS": "http://10.0.0.1:2379",
        }
    )
    assert settings.tls == Tls(ca, certificate, key, "typha-client", "")
    assert (settings.log_severity, settings.rebalancing, settings.least_limit) == ("FATAL", True, 5)
    assert (settings.shutdown_timeout, settings.port) == (60.0, 5473)
    assert warnings == ()


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("FELIX_TYPHAADDR", "nowhere", "host:port"),
        ("FELIX_TYPHAADDR", "host:99999", "host:port"),
        ("FELIX_TYPHAREADTIMEOUT", "-1", "seconds"),
        ("FELIX_TYPHACAFILE", "/there/is/none", "FELIX_TYPHAKEYFILE"),
        ("TYPHA_SERVERPORT", "x", "0 to 65535"),
        ("TYPHA_HEALTHENABLED", "perhaps", "true or false"),
        ("TYPHA_CONNECTIONREBALANCINGMODE", "magic", "one of"),
        ("TYPHA_MAXCONNECTIONSUPPERLIMIT", "0", "from 1"),
        ("TYPHA_CLIENTCN", "x", "TYPHA_CAFILE, TYPHA_SERVERCERTFILE, TYPHA_SERVERKEYFILE"),
    ],
)
def test_what_is_wrong_is_named(variable, value, says):
    read = client_settings if variable.startswith("FELIX") else server_settings
    with pytest.raises(FanoutSettingsError, match=re.escape(says)):
        read({variable: value})


def test_all_that_is_wrong_is_told_at_once(files, tmp_path):
    ca, _, key = files
    environ = {
        "TYPHA_CAFILE": key,
        "TYPHA_SERVERCERTFILE": str(tmp_path / "gone"),
        "TYPHA_SERVERKEYFILE": key,
        "TYPHA_CLIENTURISAN": "spiffe://x",
        "TYPHA_HEALTHPORT": "-4",
    }
    with pytest.raises(FanoutSettingsError) as caught:
        server_settings(environ)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert any("TYPHA_CAFILE" in line and "no PEM certificates" in line for line in lines)
    assert any("TYPHA_SERVERCERTFILE" in line and "No such file" in line for line in lines)
    assert any("TYPHA_HEALTHPORT='-4'" in line for line in lines)
    with pytest.raises(FanoutSettingsError, match="no PEM certificate and the key of it"):
        server_settings({**environ, "TYPHA_CAFILE": ca, "TYPHA_SERVERCERTFILE": ca})


def test_what_has_no_effect_is_told_with_the_nearest_name_that_has():
    _, warnings = server_settings({"TYPHA_SERVERPROT": "5", "TYPHA_GOMAXPROCS": "3"})
    assert warnings[0] == "TYPHA_GOMAXPROCS has no effect in this server"
    assert warnings[1] == (
        "TYPHA_SERVERPROT has no effect in this server; did you mean TYPHA_SERVERPORT?"
    )


def test_ipv6_addresses_stand_in_brackets():
    assert client_settings({"FELIX_TYPHAADDR": "[fd00::1]:5473"}).address == ("fd00::1", 5473)
