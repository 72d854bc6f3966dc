"""The names: of each setting in a CalicoAPIConfig, in the environment, and for Felix."""

from typing import NamedTuple

from tortie.datastore.contract import DatastoreError


class ConfigurationError(DatastoreError):
    """A setting that can't be used; the message names it, what was found, and what to do."""


class Parameter(NamedTuple):
    """One setting.

    `variable` is also read with CALICO_ before it, which wins. No `variable`: only a file may say
    it, so that a key does not stand in an environment. `felix` stands behind FELIX_ or TYPHA_, in
    any case. `documented` is the variable that Calico's pages tell, where its code reads another.
    """

    field: str
    variable: str = ""
    felix: str = ""
    documented: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        """All names in the environment, the first of which that is there counts."""
        if not self.variable:
            return ()
        names = (f"CALICO_{self.variable}", self.variable)
        return (*names, self.documented) if self.documented else names


class Given(NamedTuple):
    """What was written for one setting, and where, as a person would look for it."""

    text: str
    name: str

    def __repr__(self) -> str:
        return f"Given({self.name})"  # the text may be a password


class Fields(NamedTuple):
    """Settings by the names of their fields, and where they came from."""

    given: dict[str, Given]
    origin: str
    in_file: bool = False

    def text(self, field: str) -> str:
        """What was written, or nothing."""
        found = self.given.get(field)
        return found.text if found else ""

    def name(self, field: str) -> str:
        """How to call a setting to a person who writes settings where these were written."""
        if found := self.given.get(field):
            return found.name
        variable = BY_FIELD[field].variable
        if self.in_file or not variable:
            where = f"{self.origin.removeprefix('from ')}: " if self.in_file else ""
            return f"{where}spec.{field}"
        return f"${variable}"

    def over(self, others: "Fields") -> "Fields":
        """These, and the others where there is none of these."""
        return self._replace(given={**others.given, **self.given})


# Calico's, but for sqlitePath. Names without one in calicoctl's documents (token, burst, rate) are
# formed as the others are.
PARAMETERS = (
    Parameter("datastoreType", "DATASTORE_TYPE", "DatastoreType"),
    Parameter("sqlitePath"),
    Parameter("etcdEndpoints", "ETCD_ENDPOINTS", "EtcdEndpoints"),
    Parameter("etcdDiscoverySrv", "ETCD_DISCOVERY_SRV"),
    Parameter("etcdUsername", "ETCD_USERNAME"),
    Parameter("etcdPassword", "ETCD_PASSWORD"),
    Parameter("etcdKeyFile", "ETCD_KEY_FILE", "EtcdKeyFile"),
    Parameter("etcdCertFile", "ETCD_CERT_FILE", "EtcdCertFile"),
    Parameter("etcdCACertFile", "ETCD_CA_CERT_FILE", "EtcdCaFile"),
    Parameter("etcdKey"),
    Parameter("etcdCert"),
    Parameter("etcdCACert"),
    Parameter("kubeconfig", "KUBECONFIG"),
    Parameter("kubeconfigInline"),
    Parameter("k8sAPIEndpoint", "K8S_API_ENDPOINT"),
    Parameter("k8sKeyFile", "K8S_KEY_FILE"),
    Parameter("k8sCertFile", "K8S_CERT_FILE"),
    Parameter("k8sCAFile", "K8S_CA_FILE"),
    Parameter("k8sAPIToken", "K8S_API_TOKEN", documented="K8S_TOKEN"),
    Parameter("k8sInsecureSkipTLSVerify", "K8S_INSECURE_SKIP_TLS_VERIFY"),
    Parameter("k8sDisableNodePoll", "K8S_DISABLE_NODE_POLL"),
    Parameter("usePodCIDR", "USE_POD_CIDR"),
    Parameter("k8sClientQPS", "K8S_CLIENT_QPS"),
    Parameter("k8sClientBurst", "K8S_CLIENT_BURST"),
    Parameter("k8sCurrentContext", "K8S_CURRENT_CONTEXT"),
    Parameter("calicoAPIGroup", "CALICO_API_GROUP"),
)
BY_FIELD = {parameter.field: parameter for parameter in PARAMETERS}
ALSO = {"k8sUsePodCIDR": "usePodCIDR", "k8sToken": "k8sAPIToken"}
"""Other names in a file: as other fields' names, and Calico's pages, would have it."""
