"""Which virtual function a VIF gets: one that nobody uses. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controller.host.errors import HostError
from controller.host.sriov.functions import Inventory, PhysicalFunction, VirtualFunction, is_switchdev, representor

_MOST_SAID = 6  # reasons in one message


@dataclass(frozen=True, slots=True)
class Wish:
    """device: a NIC by name or address; None: any. index: of the VF; None: a free one."""

    device: str | None = None
    index: int | None = None
    needs_representor: bool = True


@dataclass(frozen=True, slots=True)
class InUse:
    """What the tree of devices does not show.

    taken: (NIC's address, index) -> VIF. addressed: network devices that have IP addresses. ports: of the bridge.
    """

    taken: Mapping[tuple[str, int], str] = field(default_factory=dict)
    addressed: Collection[str] = ()
    ports: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    physical: PhysicalFunction
    function: VirtualFunction


def choose(inventory: Inventory, candidates: Sequence[PhysicalFunction], wish: Wish, used: InUse) -> Chosen:
    """The first free one, of NICs that have representors where one is needed. Raises HostError with every reason."""
    if wish.needs_representor:
        switches = [one for one in candidates if is_switchdev(inventory, one)]
        with_functions = [one for one in candidates if one.functions]
        if with_functions and not switches:
            representor(inventory, with_functions[0], 0)  # says what to do about its mode
        candidates = switches or candidates
    reasons: list[str] = []
    for physical in candidates:
        for function in physical.functions:
            if wish.index not in (None, function.index):
                continue
            why = next(_why_not(inventory, physical, function, wish, used), None)
            if why is None:
                return Chosen(physical, function)
            reasons.append(f"{physical.text}/{function.index} {why}")
    raise _none_free(candidates, wish, reasons)


def _why_not(
    inventory: Inventory, physical: PhysicalFunction, function: VirtualFunction, wish: Wish, used: InUse
) -> Iterator[str]:
    """Why it is not free."""
    if holder := used.taken.get((physical.address, function.index)):
        yield f"is VIF {holder}'s"
    devices = [inventory.devices[name] for name in function.devices if name in inventory.devices]
    if function.driver is not None and not devices:
        yield f"is in use: bound to {function.driver}, without a network device in the agent's namespace"
    for device in devices:
        if device.master:
            yield f"is in use: {device.name} is a port of {device.master}"
        elif device.up:
            yield f"is in use: {device.name} is up"
        elif device.name in used.addressed:
            yield f"is in use: {device.name} has addresses"
    if wish.needs_representor:
        try:
            port = representor(inventory, physical, function.index)
        except HostError as fault:
            yield f"has no representor ({fault})"
        else:
            if port.name in used.ports or port.master:
                yield f"is in use: its representor {port.name} is a port of {port.master or 'the bridge'} already"


def _none_free(candidates: Sequence[PhysicalFunction], wish: Wish, reasons: Sequence[str]) -> HostError:
    counts = ", ".join(f"{one.text} has {len(one.functions)} of at most {one.total}" for one in candidates)
    said = "; ".join(reasons[:_MOST_SAID]) + (f"; and {len(reasons) - _MOST_SAID} more" if len(reasons) > 6 else "")
    if wish.index is not None:
        problem = f"VF {wish.index} of {wish.device} {'cannot be had' if reasons else 'does not exist'}"
    else:
        problem = "no virtual function is free" if reasons else "there is no virtual function"
    return HostError(f"{problem} ({counts}){': ' if said else ''}{said}", _remedy(candidates))


def _remedy(candidates: Sequence[PhysicalFunction]) -> str:
    """The kernel changes the number of VFs from and to none only."""
    extensible = [one for one in candidates if len(one.functions) < one.total]
    if not extensible:
        return "Free one: set its device down, or delete the VIF that has it"
    empty = next((one for one in extensible if not one.functions), None)
    if empty is not None:
        return f"Make some: echo {min(8, empty.total)} > {empty.count_file}"
    one = extensible[0]
    return (
        "Free one: set its device down, or delete the VIF that has it. Or, while nobody uses a VF of "
        f"{one.text}: echo 0 > {one.count_file}; echo {one.total} > {one.count_file}"
    )
