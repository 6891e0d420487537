"""Queues by their class ids, as `tc class show` writes them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from controller.host.queue_ids import (
    CLASS_MAJORS,
    CLASS_MINORS,
    DEFAULT_MINOR,
    INNER_MINORS,
    ROOT_MAJOR,
    TRUNK_MINOR,
    class_majors,
)
from controller.intent.errors import Rejected
from controller.intent.explain_target import Subject, of_vif, unknown
from controller.intent.queues import INSTANCE, PORT, QueueKey, queues_of, uplink_place
from controller.world.desired import World
from policies.classes import code_points
from policies.model import NORMAL

_CLASS_ID = r"([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})"
_TARGET = re.compile(rf"(?:queue )?(?:([A-Za-z0-9._-]+)[: ])?{_CLASS_ID}")
_LINE = re.compile(rf"(?:class )?htb {_CLASS_ID}\b.*")  # of tc class show


def class_ids(world: World) -> dict[QueueKey, str | None]:
    """Of every queue that the policy asks of hosts, sorted; None: a queue that is the whole of its device."""
    keys = sorted(queues_of(world.policies, world.snapshot.interfaces.values()))
    majors = _majors_of_classes(keys, world)
    return {key: _class_id(key, majors, world) for key in keys}


def is_queue(text: str) -> bool:
    return bool(_TARGET.fullmatch(text) or _LINE.fullmatch(text) or text.startswith("queue "))


def subject_of(text: str, world: World) -> tuple[Subject, list[QueueKey]]:
    """What a queue is for, and which of the policy's queues are meant. Raises Rejected."""
    line = _LINE.fullmatch(text)
    found = line or _TARGET.fullmatch(text)
    if found is None:
        raise Rejected(["a queue is named by its class id, as in 'queue eth1:7fff:2a'. See tc class show."])
    device: str | None = None if line else found[1]
    major, minor = (int(half, 16) for half in found.groups()[-2:])
    wanted = f"{major:x}:{minor:x}"
    keys = [key for key, own in class_ids(world).items() if own == wanted and _is_at(key, device, world)]
    if keys:
        return _of_keys(wanted, keys, world), keys
    aside = _aside(major, minor, world)
    if aside is not None:
        return Subject("queue", f"class {wanted}: {aside}"), []
    devices = [*world.policies.links, *world.snapshot.interfaces]
    if device is not None and device not in devices:
        raise unknown(device, devices)
    raise Rejected([f"class {wanted} is none that the policy in force asks for. See weir explain VIF for its queues."])


def _of_keys(wanted: str, keys: list[QueueKey], world: World) -> Subject:
    first = keys[0]
    words = f"class {first.traffic_class} of " if first.traffic_class else ""
    vifs = tuple(sorted({key.owner for key in keys if key.owner in world.snapshot.interfaces}))
    if len(keys) > 1:
        text = f"class {wanted}: of {len(keys)} devices. Name one, as in 'queue {_device(first)}:{wanted}'"
        return Subject("queue", text, vifs)
    kind = "VIF" if first.owner in world.snapshot.interfaces else "policy"
    text = f"class {wanted} of {first.place} on {first.chassis}: {words}{kind} {first.owner}"
    if kind == "VIF":
        return Subject("queue", text, vifs, node=of_vif(first.owner, world).node)
    return Subject("queue", f"{world.policies.nodes[first.owner].at}: {text}, all below it", node=first.owner)


def _device(key: QueueKey) -> str:
    return key.owner if key.place == PORT else key.place.removeprefix(uplink_place(""))


def _is_at(key: QueueKey, device: str | None, world: World) -> bool:
    if device is None:
        return True
    port = world.snapshot.interfaces[key.owner].port_name if key.place == PORT else None
    return device in (_device(key), port)


def _aside(major: int, minor: int, world: World) -> str | None:
    """Classes that the trees need and nobody asks for."""
    if major == ROOT_MAJOR:
        where = "of the uplink"
    elif major in CLASS_MAJORS:
        where = "of the traffic classes of one VIF"
    else:
        node = next((key for (kind, key), number in world.numbers.items() if (kind, number) == ("node", major)), None)
        if node is None:
            return None
        where = f"of policy {node}"
    return {
        TRUNK_MINOR: f"the class {where} that all others are below",
        DEFAULT_MINOR: f"the class {where} for frames that no filter names",
    }.get(minor)


def _majors_of_classes(keys: Iterable[QueueKey], world: World) -> dict[tuple[str, str, str], int]:
    """By chassis, place and VIF."""
    divided: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key in keys:
        if key.traffic_class and key.place != PORT:
            divided[key.chassis, key.place].add(key.owner)
    found = {}
    for (chassis, place), names in divided.items():
        numbers = {world.snapshot.interfaces[name].number: name for name in names}
        found.update({(chassis, place, numbers[vif]): major for vif, major in class_majors(numbers).items()})
    return found


def _class_id(key: QueueKey, majors: dict[tuple[str, str, str], int], world: World) -> str | None:
    if key.place == INSTANCE:
        return None
    if key.traffic_class:
        major = CLASS_MAJORS.start if key.place == PORT else majors[key.chassis, key.place, key.owner]
        if key.traffic_class == NORMAL:
            return f"{major:x}:{DEFAULT_MINOR:x}"
        return f"{major:x}:{CLASS_MINORS + code_points(world.policies)[key.traffic_class]:x}"
    if key.place == PORT:
        return f"{ROOT_MAJOR:x}:{DEFAULT_MINOR:x}"
    vif = world.snapshot.interfaces.get(key.owner)
    path = key.owner if vif is None else vif.policy
    parent = world.policies.nodes[path].parent
    major = ROOT_MAJOR if parent is None else world.numbers["node", parent]
    minor = vif.number if vif is not None else INNER_MINORS + world.numbers["node", path]
    return f"{major:x}:{minor:x}"
