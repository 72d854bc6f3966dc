"""What a person can mend is told in words; anything else is a defect and keeps its traceback.

`UserError` is the command line's own. Errors of the packages below are for people already; they are
found by the modules that are loaded, so that naming them here imports nothing.
"""

import errno
import sys

INTERRUPTED = 130  # as shells report SIGINT

_FOR_PEOPLE = (
    ("tortie.datastore.contract", "DatastoreError"),
    ("tortie.api", "UnknownKind"),
    ("tortie.lab.errors", "LabError"),
    ("tortie.linux.netlink.sockets", "NetlinkError"),
    ("tortie.ipam", "IpamError"),
    ("tortie.cni.installer.errors", "InstallError"),
)
# Writing, unlike opening, does not say to which file.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class UserError(Exception):
    """Something to be told in one message; the command ends with status 1."""


def message_for(error: BaseException) -> str | None:
    """What to tell a person of this error; None where it is a defect of ours."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"not everything could be written: {(error.strerror or str(error)).lower()}"
    known = (getattr(sys.modules.get(module), name, None) for module, name in _FOR_PEOPLE)
    if isinstance(error, tuple(kind for kind in known if isinstance(kind, type))):
        return str(error)
    return None
