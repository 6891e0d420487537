"""A cpio archive as the kernel takes it for an initramfs (format "newc"). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_DIRECTORY, _FILE, _CHARACTER_DEVICE = 0o040755, 0o100755, 0o020600
_CONSOLE = (5, 1)
_END = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Member:
    """path: without a leading slash. content None: a directory."""

    path: str
    content: bytes | None = None


def archive(members: Iterable[Member]) -> bytes:
    """All files executable, everything root's; with the console that the first process opens."""
    parts = [_entry(number, one.path, _mode(one), one.content or b"") for number, one in enumerate(members, 1)]
    console = _entry(0, "dev/console", _CHARACTER_DEVICE, b"", _CONSOLE)
    return b"".join([*parts, console, _entry(0, _END, 0, b"")])


def _mode(member: Member) -> int:
    return _DIRECTORY if member.content is None else _FILE


def _entry(inode: int, path: str, mode: int, content: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    """inode, mode, uid, gid, links, mtime, size, device of the file, device it is, length of the name, checksum."""
    name = path.encode() + b"\0"
    numbers = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
