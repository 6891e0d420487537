"""Groups of users as written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policies.errors import BadValue
from policies.model import Group
from policies.reader import Reader
from policies.source import Entry
from policies.wording import quoted

_LONGEST = 255


def read_groups(reader: Reader, entries: Iterable[Entry]) -> Mapping[str, Group]:
    """The `groups` of all files: lists of users, who need not be bound to anything."""
    groups: dict[str, Group] = {}
    for entry in entries:
        users = (reader.value(item, free_name) for item in reader.items(entry.value))
        members = frozenset(user for user in users if user is not None)
        groups[entry.key] = Group(entry.key, members, entry.key_place.at)
    return groups


def free_name(text: str) -> str:
    """The name of a user or an application, or the value of a label, which nobody defines here. Raises BadValue."""
    if len(text) > _LONGEST or not text.isprintable():
        raise BadValue(f"{quoted(text)} is not a name", f"Use 1 to {_LONGEST} printable characters")
    return text
