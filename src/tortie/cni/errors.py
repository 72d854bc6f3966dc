"""The specification's errors: a code that runtimes act on, a message for people."""

from tortie.cni.shim import DECODING_FAILURE as DECODING_FAILURE
from tortie.cni.shim import IO_FAILURE as IO_FAILURE
from tortie.cni.shim import TRY_AGAIN as TRY_AGAIN

INCOMPATIBLE_VERSION = 1
CONTAINER_UNKNOWN = 3
INVALID_ENVIRONMENT = 4
INVALID_CONFIG = 7
NOT_AVAILABLE = 50  # STATUS: ADD can't be served now
# From 100 on a plugin's own.
NO_ADDRESS = 101
NOT_AS_ADDED = 102
WRONG_NODE = 103
INTERNAL = 999


class CniError(Exception):
    """A request that fails: `code` is the specification's, `message` and `details` for people."""

    def __init__(self, code: int, message: str, details: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def output(self, version: str) -> dict[str, object]:
        """The JSON object that the plugin prints."""
        found: dict[str, object] = {"cniVersion": version, "code": self.code, "msg": self.message}
        if self.details:
            found["details"] = self.details
        return found
