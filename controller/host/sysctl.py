"""Kernel settings of the network namespace that the calling thread is in."""

from __future__ import annotations

from pathlib import Path

from controller.host.errors import HostError

_ROOT = Path("/proc/sys/net")


def read(key: str) -> str | None:
    """The value of a setting below net/, e.g. `core/wmem_default`; None when this kernel does not have it."""
    try:
        return (_ROOT / key).read_text().strip()
    except FileNotFoundError:
        return None


def ensure(key: str, value: str) -> None:
    """Writes only what differs. A setting that the kernel lacks (IPv6 compiled out) is skipped. Raises HostError."""
    current = read(key)
    if current is None or current == value:
        return
    try:
        (_ROOT / key).write_text(value)
    except OSError as fault:
        raise HostError(
            f"net/{key}: cannot be set to {value} ({fault.strerror})",
            "Make /proc/sys/net writable for the agent",
        ) from fault
