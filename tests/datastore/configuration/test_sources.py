"""Where settings are written, which of them counts, and what is told where one can't be used."""

from pathlib import Path

import pytest

from servers.pki import Pki
from tortie.datastore.configuration import (
    DEFAULT_PATH,
    ConfigurationError,
    Fields,
    for_daemon,
    from_environment,
    from_file,
    from_location,
    settings_of,
)
from tortie.datastore.configuration.fields import ALSO, PARAMETERS
from tortie.datastore.settings import (
    CRD_V3,
    DatastoreSettings,
    EtcdSettings,
    KubernetesSettings,
    MemorySettings,
    SqliteSettings,
)

ETCD = EtcdSettings(endpoints=("http://a:2379",))
NOTHING = Fields({}, "from nowhere")


def config(**spec: object) -> str:
    """A CalicoAPIConfig."""
    lines = "".join(f"  {name}: {value}\n" for name, value in spec.items())
    return f"apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n{lines}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's kubeconfig."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({}, SqliteSettings(path=DEFAULT_PATH)),
        ({"ETCD_ENDPOINTS": "http://a:2379"}, ETCD),
        ({"CALICO_ETCD_ENDPOINTS": "http://a:2379"}, ETCD),
        ({"CALICO_ETCD_ENDPOINTS": "http://a:2379", "ETCD_ENDPOINTS": "http://b:1"}, ETCD),
        ({"CALICO_ETCD_ENDPOINTS": " ", "ETCD_ENDPOINTS": " http://a:2379/ "}, ETCD),
        (
            {"ETCD_ENDPOINTS": "http://a:1, http://b:2,http://a:1,", "DATASTORE_TYPE": "etcdv3"},
            EtcdSettings(endpoints=("http://a:1", "http://b:2")),
        ),
        (
            {"ETCD_ENDPOINTS": "https://a:1", "ETCD_USERNAME": "u", "ETCD_PASSWORD": "p"},
            EtcdSettings(endpoints=("https://a:1",), username="u", password="p"),
        ),
        ({"DATASTORE_TYPE": "kubernetes"}, KubernetesSettings()),
        ({"DATASTORE_TYPE": "sqlite"}, SqliteSettings(path=DEFAULT_PATH)),
        (
            {"K8S_API_ENDPOINT": "https://a:6443/", "K8S_API_TOKEN": "t"},
            KubernetesSettings(api_endpoint="https://a:6443", token="t"),
        ),
        (
            {"K8S_API_ENDPOINT": "https://a", "K8S_TOKEN": "t"},
            KubernetesSettings(api_endpoint="https://a", token="t"),
        ),
        (
            {
                "DATASTORE_TYPE": "kubernetes",
                "K8S_CURRENT_CONTEXT": "c",
                "K8S_CLIENT_QPS": "7.5",
                "K8S_CLIENT_BURST": "9",
                "K8S_INSECURE_SKIP_TLS_VERIFY": "TRUE",
                "K8S_DISABLE_NODE_POLL": "1",
                "USE_POD_CIDR": "t",
                "CALICO_API_GROUP": CRD_V3,
            },
            KubernetesSettings(
                context="c",
                qps=7.5,
                burst=9,
                insecure_skip_tls_verify=True,
                use_pod_cidr=True,
                api_group=CRD_V3,
            ),
        ),
        # kubectl's own variable: it does not send a command to that cluster.
        ({"KUBECONFIG": "/nowhere"}, SqliteSettings(path=DEFAULT_PATH)),
    ],
)
def test_the_environment_names_a_datastore(
    environ: dict[str, str], settings: DatastoreSettings
) -> None:
    assert settings_of(from_environment(environ)) == settings


@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({"FELIX_ETCDENDPOINTS": "http://a:2379", "ETCD_ENDPOINTS": "http://b:1"}, ETCD),
        ({"felix_EtcdEndpoints": "http://a:2379"}, ETCD),
        ({"FELIX_DATASTORETYPE": "etcdv3", "FELIX_ETCDADDR": "a:2379"}, ETCD),
        ({"FELIX_DATASTORETYPE": "none", "ETCD_ENDPOINTS": "http://a:2379"}, ETCD),
        (
            {"FELIX_DATASTORETYPE": "kubernetes", "ETCD_ENDPOINTS": "http://b:1"},
            KubernetesSettings(),
        ),
        (
            {"FELIX_ETCDADDR": "a:1", "FELIX_ETCDSCHEME": "https"},
            EtcdSettings(endpoints=("https://a:1",)),
        ),
        ({"TYPHA_ETCDENDPOINTS": "http://b:1"}, SqliteSettings(path=DEFAULT_PATH)),
    ],
)
def test_an_agent_reads_felix_over_the_plain_names(
    environ: dict[str, str], settings: DatastoreSettings
) -> None:
    assert settings_of(for_daemon(environ, "FELIX_")) == settings


def test_a_fan_out_server_reads_typha_over_the_plain_names() -> None:
    environ = {"TYPHA_ETCDENDPOINTS": "http://a:2379", "FELIX_ETCDENDPOINTS": "http://b:1"}
    assert settings_of(for_daemon(environ, "TYPHA_")) == ETCD


@pytest.mark.parametrize(
    ("location", "settings"),
    [
        ("memory:", MemorySettings()),
        ("x.db", SqliteSettings(path="x.db")),
        ("/a:b/x.db", SqliteSettings(path="/a:b/x.db")),
        ("sqlite:x.db", SqliteSettings(path="x.db")),
        ("etcd:http://b:1", EtcdSettings(endpoints=("http://b:1",), username="u", password="p")),
        ("etcdv3:", EtcdSettings(endpoints=("http://a:1",), username="u", password="p")),
        ("kubernetes:", KubernetesSettings(context="c")),
    ],
)
def test_a_word_names_a_datastore_and_the_environment_the_rest(
    location: str, settings: DatastoreSettings
) -> None:
    environ = {
        "ETCD_ENDPOINTS": "http://a:1",
        "ETCD_USERNAME": "u",
        "ETCD_PASSWORD": "p",
        "K8S_CURRENT_CONTEXT": "c",
    }
    assert settings_of(from_location(location, from_environment(environ))) == settings


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (config(etcdEndpoints="http://a:2379"), ETCD),
        (config(datastoreType="etcdv3", etcdEndpoints="http://a:2379"), ETCD),
        (config(), KubernetesSettings()),
        (
            config(datastoreType="kubernetes", k8sClientQPS=8, k8sUsePodCIDR="true"),
            KubernetesSettings(qps=8.0, use_pod_cidr=True),
        ),
        (
            config(k8sAPIEndpoint="https://a", k8sToken="t"),
            KubernetesSettings(api_endpoint="https://a", token="t"),
        ),
        (
            config(kubeconfigInline="'{kind: Config}'"),
            KubernetesSettings(kubeconfig_text="{kind: Config}"),
        ),
        (config(datastoreType="sqlite", sqlitePath="/x.db"), SqliteSettings(path="/x.db")),
    ],
)
def test_a_file_names_a_datastore(text: str, settings: DatastoreSettings, tmp_path: Path) -> None:
    (tmp_path / "cfg").write_text(text)
    assert settings_of(from_file(tmp_path / "cfg")) == settings


def test_every_name_that_is_documented_is_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
    for parameter in PARAMETERS:
        felix = f"FELIX_{parameter.felix.upper()}" if parameter.felix else ""
        names = (parameter.field, parameter.variable, parameter.documented, felix)
        for name in filter(None, names):
            assert f"`{name}`" in page, f"docs/configuration.md does not speak of {name}"
    for name in ALSO:
        assert f"`{name}`" in page


def test_certificates_come_from_files_or_inline(pki: Pki, tmp_path: Path) -> None:
    pair = pki.issue("somebody")
    environ = {
        "ETCD_ENDPOINTS": "https://a:1",
        "ETCD_CA_CERT_FILE": str(pki.ca_file),
        "ETCD_CERT_FILE": str(pair.certificate_file),
        "ETCD_KEY_FILE": str(pair.key_file),
    }
    wanted = EtcdSettings(
        endpoints=("https://a:1",), ca=pki.ca, certificate=pair.certificate, key=pair.key
    )
    assert settings_of(from_environment(environ)) == wanted
    inline = {"etcdCACert": pki.ca, "etcdCert": pair.certificate, "etcdKey": pair.key}
    block = {name: "|\n" + _set_in(pem) for name, pem in inline.items()}
    (tmp_path / "cfg").write_text(config(etcdEndpoints="https://a:1", **block))
    found = settings_of(from_file(tmp_path / "cfg"))
    assert isinstance(found, EtcdSettings)
    stripped = {pem.strip() for pem in inline.values()}
    assert {found.ca.strip(), found.certificate.strip(), found.key.strip()} == stripped
    felix = {
        "FELIX_ETCDENDPOINTS": "https://a:1",
        "FELIX_ETCDCAFILE": str(pki.ca_file),
        "FELIX_ETCDCERTFILE": str(pair.certificate_file),
        "FELIX_ETCDKEYFILE": str(pair.key_file),
    }
    assert settings_of(for_daemon(felix, "FELIX_")) == wanted


def _set_in(pem: bytes) -> str:
    return "".join(f"    {line}\n" for line in pem.decode().splitlines())


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DATASTORE_TYPE": "mongo"}, "$DATASTORE_TYPE: there is no datastore 'mongo'"),
        ({"CALICO_DATASTORE_TYPE": "x"}, "$CALICO_DATASTORE_TYPE: there is no datastore 'x'"),
        ({"DATASTORE_TYPE": "etcdv3"}, "$ETCD_ENDPOINTS: no endpoint of etcd is given"),
        ({"ETCD_ENDPOINTS": "a:2379"}, "$ETCD_ENDPOINTS: 'a:2379' is no endpoint: write http://"),
        ({"ETCD_ENDPOINTS": "http://a"}, "$ETCD_ENDPOINTS: 'http://a' is no endpoint"),
        ({"ETCD_ENDPOINTS": "http://a:1/x"}, "$ETCD_ENDPOINTS: 'http://a:1/x' is no endpoint"),
        ({"ETCD_ENDPOINTS": "http://a:99999"}, "is no endpoint"),
        ({"ETCD_ENDPOINTS": "http://a:1,https://b:1"}, "mix http and https"),
        ({"ETCD_DISCOVERY_SRV": "x.org"}, "$ETCD_DISCOVERY_SRV: members of etcd are not looked"),
        (
            {"ETCD_ENDPOINTS": "http://a:1", "ETCD_USERNAME": "u"},
            "$ETCD_USERNAME is given without $ETCD_PASSWORD: give both or none",
        ),
        (
            {"ETCD_ENDPOINTS": "https://a:1", "ETCD_CA_CERT_FILE": "/nowhere"},
            "$ETCD_CA_CERT_FILE: /nowhere: no such file or directory: name a file that can be read",
        ),
        ({"K8S_API_ENDPOINT": "nowhere"}, "$K8S_API_ENDPOINT: this is no address"),
        (
            {"DATASTORE_TYPE": "kubernetes", "K8S_CLIENT_QPS": "many"},
            "$K8S_CLIENT_QPS: 'many' is no number of requests",
        ),
        (
            {"DATASTORE_TYPE": "kubernetes", "K8S_CLIENT_BURST": "nan"},
            "$K8S_CLIENT_BURST: 'nan' is no number of requests",
        ),
        (
            {"DATASTORE_TYPE": "kubernetes", "USE_POD_CIDR": "perhaps"},
            "$USE_POD_CIDR: 'perhaps' is neither true nor false",
        ),
        (
            {"DATASTORE_TYPE": "kubernetes", "CALICO_API_GROUP": "v9"},
            "$CALICO_API_GROUP: there is no group 'v9'",
        ),
        (
            {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": "/nowhere"},
            "$KUBECONFIG: /nowhere: no such file or directory",
        ),
        ({"FELIX_DATASTORETYPE": "x"}, "$FELIX_DATASTORETYPE: there is no datastore 'x'"),
        (
            {"FELIX_ETCDADDR": "a:1", "FELIX_ETCDSCHEME": "ftp"},
            "$FELIX_ETCDSCHEME: 'ftp' is neither http nor https",
        ),
    ],
)
def test_an_error_names_the_variable(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        settings_of(for_daemon(environ, "FELIX_"))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (config(etcdEndpoint="http://a:1"), "spec.etcdEndpoint is no field; did you mean etcdEnd"),
        (config(kubeConfig="x"), "spec.kubeConfig is no field; did you mean kubeconfig?"),
        (config(etcdEndpoints="[a, b]"), "spec.etcdEndpoints must be one value"),
        (config(datastoreType="etcdv3"), "cfg: spec.etcdEndpoints: no endpoint of etcd is given"),
        (config(etcdEndpoints="https://a:1", etcdCert="x"), "spec.etcdCert: there is no PEM in it"),
        (
            config(etcdEndpoints="https://a:1", etcdCACertFile="/x", etcdCACert="y"),
            "spec.etcdCACertFile are both given: leave one out",
        ),
        ("kind: Tier", "is no configuration: apiVersion must be projectcalico.org/v3"),
        (config() + "more: 1", "more is no field; there are apiVersion, kind, metadata, spec"),
        ("[", "is no YAML"),
        ("\0", "is no YAML"),
        ("", "is no configuration"),
        ("apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nspec: 3", "spec must be an obj"),
    ],
)
def test_an_error_names_the_file_and_the_field(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "cfg").write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        settings_of(from_file(tmp_path / "cfg"))
    assert str(raised.value).startswith(str(tmp_path / "cfg"))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cfg: the configuration can't be read: no such"):
        from_file(tmp_path / "cfg")


def test_certificates_that_can_not_work_are_told_before_anything_is_opened(
    pki: Pki, tmp_path: Path
) -> None:
    one, other = pki.issue("one"), pki.issue("other")
    junk = tmp_path / "junk.pem"
    junk.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    files = {"ETCD_CERT_FILE": one.certificate_file, "ETCD_KEY_FILE": one.key_file}

    def problem(scheme: str = "https", **changed: Path) -> str:
        paths = {name: str(path) for name, path in {**files, **changed}.items() if path.name}
        with pytest.raises(ConfigurationError) as raised:
            settings_of(from_environment({"ETCD_ENDPOINTS": f"{scheme}://a:1", **paths}))
        return str(raised.value)

    assert problem(ETCD_KEY_FILE=other.key_file) == (
        "$ETCD_CERT_FILE and $ETCD_KEY_FILE: the key is not the certificate's: they must be a pair"
    )
    assert "no certificate and key in PEM" in problem(ETCD_CERT_FILE=junk)
    assert "$ETCD_CA_CERT_FILE: it holds no certificate" in problem(ETCD_CA_CERT_FILE=junk)
    assert problem(ETCD_KEY_FILE=Path()) == (
        "$ETCD_CERT_FILE is given without $ETCD_KEY_FILE: give both or none"
    )
    assert "are http, so $ETCD_CERT_FILE would protect nothing" in problem("http")


def test_no_message_and_no_form_of_settings_holds_a_secret() -> None:
    environ = {"ETCD_ENDPOINTS": "http://u:geheim@a:1", "ETCD_USERNAME": "u"}
    for given in (from_environment(environ), from_location("etcd:http://u:geheim@a:1", NOTHING)):
        assert "geheim" not in repr(given)
        with pytest.raises(ConfigurationError) as raised:
            settings_of(given)
        assert "geheim" not in str(raised.value)
        assert "is no endpoint" in str(raised.value)
    environ = {"ETCD_ENDPOINTS": "http://a:1", "ETCD_USERNAME": "u", "ETCD_PASSWORD": "geheim"}
    assert "geheim" not in repr(settings_of(from_environment(environ)))


def test_several_kubeconfigs_of_which_one_is_missing(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("{}")
    environ = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": f"/nowhere:{tmp_path}/two"}
    found = settings_of(from_environment(environ))
    assert found == KubernetesSettings(kubeconfig=f"/nowhere:{tmp_path}/two")
    environ["KUBECONFIG"] = f"{tmp_path}/two:{tmp_path}"
    with pytest.raises(ConfigurationError, match=r"\$KUBECONFIG: .*: is a directory"):
        settings_of(from_environment(environ))
