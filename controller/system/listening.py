"""Where a process listens on TCP: on addresses of this machine alone, as what it tells is for nobody else."""

from __future__ import annotations

import socket
from contextlib import closing
from ipaddress import ip_address

from controller.system.errors import SystemFault, WrongRequest

_HERE = "127.0.0.1"
_EXAMPLES = "Write a port, as in 9476, or an address of this machine's loopback with it, as in [::1]:9476"


def read(option: str, text: str) -> tuple[str, int]:
    """Address and port of `PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. Raises WrongRequest."""
    address, separator, port = text.rpartition(":")
    address = (address.removeprefix("[").removesuffix("]") if separator else "") or _HERE
    address = _HERE if address == "localhost" else address
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise WrongRequest(f"{option}: '{text}' names no port", _EXAMPLES)
    try:
        is_ours = ip_address(address).is_loopback
    except ValueError:
        raise WrongRequest(f"{option}: '{address}' is no IP address", _EXAMPLES) from None
    if not is_ours:
        raise WrongRequest(
            f"{option}: {address} can be reached from other machines, and what is told there names every VIF",
            f"Write {int(port)} alone, and let a proxy with TLS and authentication stand in front of it",
        )
    return address, int(port)


def written(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def check_free(option: str, address: str, port: int) -> None:
    """Raises SystemFault when somebody listens there already."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as fault:
            raise SystemFault(
                f"{option}: {written(address, port)} cannot be listened at: {fault.strerror}", "Name another port"
            ) from fault
