"""What a division of all bandwidth takes, by how many VIFs and links there are, beside a sort of as many numbers.

The sort is numpy's, by group and then by value: what it takes to put each group's members into the order in which they
are satisfied, and no more. Trees stay as they are from tick to tick, so what is worked out of their form is not in it.
Times are the processor's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from controller.allocation.allocator import max_min_and_rounds
from controller.allocation.tree import FloatArray, TreeNode, tree_of

SIZES = (1_000, 10_000, 100_000)
# Times the sort: one link, or many whose limits all stay on one. Where limits span links each round is a division of
# its own by links and by limits.
MOST, MOST_A_ROUND = 4.0, 12.0
MOST_GROWTH = 3.0  # of the time a VIF takes: at ten times as many it may be out of the processor's caches
MOST_ROUNDS = 25
_TENANTS, _LINKS, _TIMES = 100, 20, 7
ONE, MANY, SPANNED = "one link", f"{_LINKS} links", f"{_LINKS} links, tenants' limits over all of them"


@dataclass(frozen=True, slots=True)
class Divided:
    """first_s: the same with what is kept of the tree's form still to be worked out; limit_s: the sort."""

    kind: str
    vifs: int
    rounds: int
    seconds: float
    first_s: float
    limit_s: float

    @property
    def a_vif_s(self) -> float:
        return self.seconds / self.vifs

    @property
    def ratio(self) -> float:
        return self.seconds / self.limit_s


def measure(say: Callable[[str], None]) -> list[Divided]:
    say("dividing bandwidth ...")
    return [_measured(kind, vifs) for kind in (ONE, MANY, SPANNED) for vifs in SIZES]


def table(found: Sequence[Divided]) -> str:
    """Markdown; nothing where nothing was measured."""
    if not found:
        return ""
    lines = ["### A division of bandwidth", ""]
    lines += ["| VIFs | tree | rounds | takes | a VIF | limit: numpy sorts as many | ratio | with the tree's form |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {one.vifs:,} | {one.kind} | {one.rounds} | {one.seconds * 1e3:.1f} ms | {one.a_vif_s * 1e9:.0f} ns"
        f" | {one.limit_s * 1e3:.1f} ms | {one.ratio:.1f} | {one.first_s * 1e3:.1f} ms |"
        for one in found
    ]
    return "\n".join(lines) + "\n"


def faults(found: Sequence[Divided]) -> list[str]:
    return [sentence for one in found for sentence in _faults(one, found)]


def _faults(one: Divided, found: Sequence[Divided]) -> Iterator[str]:
    place = f"Dividing among {one.vifs:,} VIFs, {one.kind}:"
    most = MOST if one.kind != SPANNED else MOST_A_ROUND * one.rounds
    if one.vifs == SIZES[-1] and one.ratio > most:
        yield f"{place} {one.ratio:.1f} times as long as to sort as many numbers, more than {most:g}."
    if one.rounds > MOST_ROUNDS:
        yield f"{place} {one.rounds} rounds, more than {MOST_ROUNDS}."
    for less in found:
        growth = one.a_vif_s / one.rounds / (less.a_vif_s / less.rounds)
        if less.kind == one.kind and less.vifs * 10 == one.vifs and growth > MOST_GROWTH:
            yield f"{place} {growth:.1f} times as long for each as among {less.vifs:,}, more than {MOST_GROWTH:g}."


def _measured(kind: str, vifs: int) -> Divided:
    """The best of some times: what else runs on the machine makes it longer only."""
    rng = np.random.default_rng(7)
    links = 1 if kind == ONE else _LINKS
    nodes = _nodes(kind, vifs, links, rng)
    capacity = np.full(links, 200.0 * vifs / links)
    demand = np.where(rng.random(vifs) < 0.5, np.inf, rng.random(vifs) * 500.0)
    tree = tree_of(nodes)
    start_s = time.process_time()
    _, rounds = max_min_and_rounds(tree, demand, capacity)
    first_s = time.process_time() - start_s
    group = tree.parent[tree.leaves]
    level: FloatArray = rng.random(vifs)
    seconds = _best(lambda: max_min_and_rounds(tree, demand, capacity))
    return Divided(kind, vifs, rounds, seconds, first_s, _best(lambda: np.lexsort((level, group))))


def _nodes(kind: str, vifs: int, links: int, rng: np.random.Generator) -> list[TreeNode]:
    """Tenants of equal size, whose limits bind a third of them; VIFs with guarantees, weights and limits."""
    inner = []
    for tenant in range(_TENANTS):
        fair = 200.0 * vifs / _TENANTS
        limit = fair * (0.7 if tenant % 3 == 0 else 2.0) if kind != MANY else float("inf")
        inner.append(TreeNode(0, 0.5 * fair, limit, float(rng.integers(1, 5))))
    leaves = [
        TreeNode(
            parent=1 + number % _TENANTS,
            guarantee_kbps=float(rng.integers(0, 50)),
            limit_kbps=8e3,
            weight=float(rng.integers(1, 5)),
            leaf_key=number,
            link=int(rng.integers(links)),
        )
        for number in range(vifs)
    ]
    return [TreeNode(-1), *inner, *leaves]


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_TIMES):
        start_s = time.process_time()
        work()
        times.append(time.process_time() - start_s)
    return min(times)
