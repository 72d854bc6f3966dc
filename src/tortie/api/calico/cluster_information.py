"""ClusterInformation: what the cluster is. The one object is named "default"."""

from tortie.api.calico import API_VERSION
from tortie.api.fields import Fields
from tortie.api.meta import Resource


class ClusterInformationSpec(Fields, frozen=True, kw_only=True):
    """What the cluster is."""

    cluster_guid: str = ""
    """The cluster's id."""
    cluster_type: str = ""
    """What it runs on, as words with commas between."""
    calico_version: str = ""
    """The version of the software that last wrote this."""
    datastore_ready: bool | None = None
    """False: agents wait, while the datastore is upgraded."""
    variant: str = ""
    """The variant of the software."""


class ClusterInformation(Resource, frozen=True, kw_only=True):
    """What the cluster is."""

    api_version = API_VERSION
    kind = "ClusterInformation"

    spec: ClusterInformationSpec
