"""Why no address could be had."""


class IpamError(Exception):
    """An address could not be had. The message says why and what to do."""


class NoPool(IpamError):
    """No pool is meant for this request; the message says of each why not."""


class Exhausted(IpamError):
    """The pools that are meant for it have no address left."""


class AlreadyAssigned(IpamError):
    """The address asked for is somebody else's."""


class HandleTaken(IpamError):
    """The handle holds addresses of somebody else: one container's name is used twice."""


class HandleFull(IpamError):
    """The handle has as many addresses as it may have."""


class OwnerChanged(IpamError):
    """The address has another handle, or other owners, than the caller believed."""
