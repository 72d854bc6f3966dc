"""The one thing that is asked of ethtool: whether checksums are left to the network card."""

import ctypes
import fcntl
import socket
import struct

from tortie.linux.netlink.rtlink import check_name

_SIOCETHTOOL = 0x8946  # linux/sockios.h
_GET_TX_CHECKSUM, _SET_TX_CHECKSUM = 0x16, 0x17  # linux/ethtool.h
_VALUE = struct.Struct("=II")  # struct ethtool_value: command, data
_REQUEST = struct.Struct("=16sQ8x")  # struct ifreq: name, pointer


def offloads_checksums(name: str) -> bool:
    """Whether packets leave this interface with their checksums still to be made.

    Raises OSError, and ValueError for what is no interface's name.
    """
    return bool(_ask(name, _GET_TX_CHECKSUM, 0))


def set_checksum_offload(name: str, wanted: bool) -> bool:
    """Switch that on or off; whether it was otherwise before. Raises as `offloads_checksums`."""
    if offloads_checksums(name) == wanted:
        return False
    _ask(name, _SET_TX_CHECKSUM, int(wanted))
    return True


def _ask(name: str, command: int, data: int) -> int:
    check_name(name)
    value = ctypes.create_string_buffer(_VALUE.pack(command, data), _VALUE.size)
    request = _REQUEST.pack(name.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            fcntl.ioctl(sock, _SIOCETHTOOL, request)
        except OSError as error:
            raise OSError(error.errno, f"checksums of {name}: {error.strerror}") from error
    found: int = _VALUE.unpack(value.raw)[1]
    return found
