"""Which core of the datapath polls which receive queue: of the ports whose VIFs have a share of a core. Pure.

A queue stays where it is: moving one costs packets, and whoever comes must not disturb the others. Only when a core is
given more than it has, and another order of things would fit, all are placed anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

WHOLE = 1.0  # core
_Place = tuple[str, int]  # port and queue


@dataclass(frozen=True, slots=True)
class Polled:
    """A port with `queues` receive queues, which share `cpu` parts of one core. before: its affinity until now."""

    queues: int
    cpu: float
    before: str | None = None


def allocate(ports: Mapping[str, Polled], cores: Collection[int]) -> Mapping[str, str]:
    """By port, as in Interface.other_config:pmd-rxq-affinity: "0:3,1:4". Nothing without cores."""
    if not cores:
        return {}
    load = {(name, queue): port.cpu / port.queues for name, port in ports.items() for queue in range(port.queues)}
    kept = {
        (name, queue): core
        for name, port in ports.items()
        for queue, core in _read(port.before)
        if core in cores and queue < port.queues
    }
    placed = _place(load, kept, cores)
    if _fullest(placed, load) > WHOLE:
        anew = _place(load, {}, cores)
        if _fullest(anew, load) <= WHOLE:
            placed = anew
    return {
        name: ",".join(f"{queue}:{placed[name, queue]}" for queue in range(port.queues)) for name, port in ports.items()
    }


def cores_of(mask: str) -> tuple[int, ...]:
    """The processors of a pmd-cpu-mask, which is hexadecimal; none of one that cannot be read."""
    try:
        bits = int(mask, 16)
    except ValueError:
        return ()
    return tuple(number for number in range(bits.bit_length()) if bits >> number & 1)


def _place(load: Mapping[_Place, float], kept: Mapping[_Place, int], cores: Collection[int]) -> dict[_Place, int]:
    """The heaviest first, each on the core that has least to do; of equals, on the one with fewest queues."""
    placed = dict(kept)
    burden = {core: (0.0, 0) for core in sorted(cores)}
    for place, core in kept.items():
        burden[core] = burden[core][0] + load[place], burden[core][1] + 1
    for place in sorted(load.keys() - kept.keys(), key=lambda place: (-load[place], place)):
        core = min(burden, key=lambda core: (*burden[core], core))
        placed[place] = core
        burden[core] = burden[core][0] + load[place], burden[core][1] + 1
    return placed


def _fullest(placed: Mapping[_Place, int], load: Mapping[_Place, float]) -> float:
    of_cores = dict.fromkeys(placed.values(), 0.0)
    for place, core in placed.items():
        of_cores[core] += load[place]
    return round(max(of_cores.values(), default=0.0), 9)


def _read(affinity: str | None) -> Iterator[tuple[int, int]]:
    """(queue, core) of each pair that can be read."""
    for pair in (affinity or "").split(","):
        queue, _, core = pair.partition(":")
        if queue.isdecimal() and core.isdecimal():
            yield int(queue), int(core)
