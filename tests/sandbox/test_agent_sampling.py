"""Sampling is not taken for a change: what the kernel tells of our own questions inside instances is passed over."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from controller.host import visits
from controller.host.queue_samples import WHOLE_S
from lab.sampled_host import SampledHost, sampled_host
from tests.support.agent_host import inside

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

VIFS = 3
SECONDS = itertools.count(1)


@pytest.fixture(scope="module")
def host() -> Iterator[SampledHost]:
    with sampled_host(VIFS) as made:
        assert not made.faults.uplinks and not made.faults.vifs
        made.trees._inside.changed()  # what was told of the links themselves
        yield made


def sampled_shapers(host: SampledHost) -> int:
    """After each instance has sent."""
    host.send(range(1, VIFS + 1))
    found = host.trees.sample(next(SECONDS) * WHOLE_S)
    return sum(sample.shaper is not None for sample in dict(found).values())


@pytest.mark.parametrize("is_short", [True, False])
def test_a_sampled_shaper_is_not_one_that_somebody_changed(
    host: SampledHost, is_short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited = list[int]()

    def counted(ask: bytes | None) -> bytes | None:
        visited.append(0)
        return ask if is_short else None

    ask = visits.root_qdisc
    monkeypatch.setattr(visits, "root_qdisc", lambda *place: counted(ask(*place)))
    assert sampled_shapers(host) == VIFS and len(visited) == VIFS
    assert host.trees._inside.changed() == set()


def test_a_change_by_hand_is_seen_beside_sampling(host: SampledHost) -> None:
    changed = host._links.links()["wv2"]
    assert sampled_shapers(host) == VIFS
    inside(host._inside, "tc", "qdisc", "replace", "dev", "e2", "root", "bfifo", "limit", "9000")
    sampled_shapers(host)
    assert host.trees._inside.changed() == {(changed.peer_namespace, changed.peer)}
