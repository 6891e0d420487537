"""Queues on cores: even, stable, and within what a core has."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.host.affinity import Polled, allocate, cores_of

ports = st.dictionaries(st.sampled_from("abcdefgh"), st.builds(Polled, st.integers(1, 4), st.floats(0.01, 1.0)))
cores = st.sets(st.integers(0, 7), min_size=1)


def loads(wanted: dict[str, Polled], found: dict[str, str]) -> dict[int, float]:
    total: dict[int, float] = defaultdict(float)
    for name, text in found.items():
        for pair in text.split(","):
            total[int(pair.partition(":")[2])] += wanted[name].cpu / wanted[name].queues
    return total


def as_before(wanted: dict[str, Polled], found: dict[str, str]) -> dict[str, Polled]:
    return {name: replace(port, before=found.get(name)) for name, port in wanted.items()}


def test_the_heaviest_goes_first_to_the_idlest_core() -> None:
    wanted = {"a": Polled(1, 0.2), "b": Polled(1, 0.6), "c": Polled(2, 0.6)}
    assert allocate(wanted, (2, 3)) == {"b": "0:2", "c": "0:3,1:3", "a": "0:2"}


def test_who_comes_moves_nobody_while_there_is_room() -> None:
    wanted = {"a": Polled(1, 0.5, "0:3"), "b": Polled(1, 0.4, "0:3"), "new": Polled(1, 0.5)}
    assert allocate(wanted, (2, 3)) == {"a": "0:3", "b": "0:3", "new": "0:2"}


def test_an_overfull_core_is_relieved_where_that_helps() -> None:
    wanted = {"a": Polled(1, 0.6, "0:2"), "b": Polled(1, 0.6, "0:2")}
    assert sorted(allocate(wanted, (2, 3)).values()) == ["0:2", "0:3"]
    assert allocate(wanted, (2,)) == {"a": "0:2", "b": "0:2"}


def test_what_cannot_be_read_or_is_gone_is_placed_anew() -> None:
    wanted = {"a": Polled(1, 0.5, "0:9,x:y,7:2"), "b": Polled(1, 0.5, "nonsense")}
    assert allocate(wanted, (2, 3)) == {"a": "0:2", "b": "0:3"}
    assert allocate(wanted, ()) == {}


def test_masks() -> None:
    assert cores_of("0x6") == (1, 2) and cores_of("2") == (1,) and cores_of("x") == cores_of("") == ()


@given(ports, cores)
def test_it_is_stable_and_no_core_is_left_idle_beside_a_doubly_loaded_one(
    wanted: dict[str, Polled], cores: set[int]
) -> None:
    found = dict(allocate(wanted, cores))
    assert found.keys() == wanted.keys()
    again = dict(allocate(as_before(wanted, found), cores))
    assert again == found
    heaviest = max((port.cpu / port.queues for port in wanted.values()), default=0.0)
    total = loads(wanted, found)
    least = min(total.get(core, 0.0) for core in cores)
    assert all(load <= least + heaviest + 1e-6 for load in total.values())
