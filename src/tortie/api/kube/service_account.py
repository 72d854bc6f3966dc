"""Kubernetes' ServiceAccount."""

from tortie.api.fields import Unused
from tortie.api.meta import Resource


class ServiceAccount(Resource, frozen=True, kw_only=True):
    """Whom pods run as: its labels are what service account selectors look at."""

    api_version = "v1"
    kind = "ServiceAccount"

    secrets: Unused = None
    image_pull_secrets: Unused = None
    automount_service_account_token: Unused = None
