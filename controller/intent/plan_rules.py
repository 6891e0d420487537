"""What differs between two policy sets as they are written: rules by identity, everything else by name. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from controller.dataplane.diff import Changes, diff
from policies.class_documents import IMPLIED
from policies.lint.placed import Placed, placed
from policies.model import PolicySet, Position

Definition = tuple[Position, object]  # where it is written, and what it says apart from that
_NOWHERE = Position("", 0, 0)
_KINDS = ("segments", "links", "services", "groups", "classes", "nodes")
_RULES: dict[str, Any] = {"mandatory": (), "rules": (), "default": ()}
_LONGEST = 3000  # rules of a list among which moves are looked for: the search is quadratic


@dataclass(frozen=True, slots=True)
class PlannedRules:
    """By identity. changed: before and after. moved: what they say is the same, and they stand before or behind others
    than they did."""

    added: Mapping[str, Placed]
    changed: Mapping[str, tuple[Placed, Placed]]
    moved: Mapping[str, Placed]
    removed: Mapping[str, Placed]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.moved or self.removed)


def changed_rules(before: PolicySet, after: PolicySet) -> PlannedRules:
    """Lines may shift: that is no change."""
    old, new = _by_identity(before), _by_identity(after)
    common = [key for key in new if key in old]
    changed = {key: (old[key], new[key]) for key in common if _said(old[key]) != _said(new[key])}
    moved = set(_moved(_in_lists(old), _in_lists(new)))
    return PlannedRules(
        added={key: one for key, one in new.items() if key not in old},
        changed=changed,
        moved={key: new[key] for key in common if key in moved and key not in changed},
        removed={key: one for key, one in old.items() if key not in new},
    )


def changed_definitions(before: PolicySet, after: PolicySet) -> Changes[tuple[str, str], Definition]:
    """By kind ("segment", ...) and name; nodes without their rules."""
    old, new = dict(_definitions(before)), dict(_definitions(after))
    changes = diff({key: body for key, (_, body) in new.items()}, {key: body for key, (_, body) in old.items()})
    return Changes(
        add={key: new[key] for key in changes.add},
        modify={key: new[key] for key in changes.modify},
        delete={key: old[key] for key in changes.delete},
    )


def _by_identity(policies: PolicySet) -> dict[str, Placed]:
    return {one.rule.identity: one for one in placed(policies)}


def _said(one: Placed) -> object:
    return one.list, replace(one.rule, at=_NOWHERE)


def _in_lists(rules: Mapping[str, Placed]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, one in rules.items():
        found[one.node, one.list].append(key)
    return found


def _moved(old: Mapping[tuple[str, str], Sequence[str]], new: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    """As few as make the difference."""
    for place in new.keys() & old.keys():
        stayed = set(old[place]) & set(new[place])
        was, now = [key for key in old[place] if key in stayed], [key for key in new[place] if key in stayed]
        if was == now:
            continue
        if len(now) > _LONGEST:
            yield from (key for one, key in zip(was, now, strict=True) if one != key)
            continue
        blocks = SequenceMatcher(None, was, now, autojunk=False).get_matching_blocks()
        kept = {now[at] for block in blocks for at in range(block.b, block.b + block.size)}
        yield from (key for key in now if key not in kept)


def _definitions(policies: PolicySet) -> Iterator[tuple[tuple[str, str], Definition]]:
    for kind in _KINDS:
        singular = "class" if kind == "classes" else kind.removesuffix("s")
        for name, own in getattr(policies, kind).items():
            bare = replace(own, at=_NOWHERE, **(_RULES if kind == "nodes" else {}))
            if own.at != IMPLIED:
                yield (singular, name), (own.at, bare)
