"""Everything between senders and receivers: shapers, meters, uplinks, queues towards the VIFs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from controller.allocation.network import Network
from controller.allocation.tree import BoolArray, FloatArray, IntArray, TreeNode, tree_of
from lab.fluid.queues import FRAME_KBIT, Meters, Queues
from lab.fluid.senders import INWARD, LINK, LOCAL, Senders
from lab.fluid.uplinks import Uplinks

STEP_S = 0.1
_BEHIND_SHAPER = 1.02  # what follows a shaper stands above it (decision 38)
_BUFFER_S, _LEAST_BUFFER_KBIT = 0.05, 240.0  # a queue holds so much of its rate, and two dozen frames at least

Wish = Callable[[float], FloatArray]


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is: egress and ingress trees over the same VIFs, as nodes; each link's capacity in kbit/s.

    shaped: the VIFs with a shaper in front of their meter, by number in ascending order (bool[n]). kind: int64[n, 3],
    wish: kbit/s at a time, float64[n, 3].
    """

    egress: Sequence[TreeNode]
    ingress: Sequence[TreeNode]
    capacity_kbps: Sequence[float]
    shaped: BoolArray
    kind: IntArray
    wish: Wish = field(repr=False)

    @property
    def numbers(self) -> IntArray:
        return np.sort(np.array([node.leaf_key for node in self.egress if node.leaf_key is not None], dtype=np.int64))

    def network(self, present: BoolArray | None = None) -> Network:
        """What the loop divides. present: which VIFs are there; None: all."""
        here = self.numbers if present is None else self.numbers[present]
        capacity = np.array(self.capacity_kbps, dtype=np.float64)
        return Network(tree_of(_with(self.egress, here)), tree_of(_with(self.ingress, here)), capacity)


@dataclass(frozen=True, slots=True)
class Passed:
    """Of one stretch of time, kbit/s, float64[n, 3]: what senders offered, what came through, what was wished."""

    offered_kbps: FloatArray
    delivered_kbps: FloatArray
    wished_kbps: FloatArray


class Plant:
    """The scene in motion. Arrays are in the order of the VIF numbers."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.time_s = scene, 0.0
        self._egress_limit, linked = _of_leaves(scene.egress)
        self._ingress_limit, _ = _of_leaves(scene.ingress)
        count = len(linked)
        self.senders = Senders(scene.kind)
        self.shapers = Queues(_size(self._egress_limit), scene.shaped, 2)
        self.leaves = Queues(_size(self._egress_limit), linked, 1)
        self.ports = Queues(_size(self._ingress_limit), np.ones(count, dtype=np.bool_), 1)
        self._rate = {LOCAL: self._egress_limit, INWARD: self._ingress_limit}
        self.meters = Meters(self._meter_rate())
        self.received = np.zeros(count)  # by the switch's port from the instance, kbit
        self._uplinks = Uplinks(scene.egress, scene.capacity_kbps)

    def enforce(self, egress_kbps: FloatArray, ingress_kbps: FloatArray) -> None:
        """What each VIF is held to from now on; inf: to its own limit only."""
        self._rate[LOCAL] = np.minimum(self._egress_limit, egress_kbps)
        self._rate[INWARD] = np.minimum(self._ingress_limit, ingress_kbps)
        self.meters.write(self._meter_rate())

    def _meter_rate(self) -> FloatArray:
        return np.where(self.scene.shaped, self._egress_limit * _BEHIND_SHAPER, self._rate[LOCAL])

    def run(self, seconds: float) -> Passed:
        """Lets time pass."""
        steps = round(seconds / STEP_S)
        sums = np.zeros((3, *self.scene.kind.shape))
        for _ in range(steps):
            self.time_s += STEP_S
            wish = self.scene.wish(self.time_s)
            offered = self.senders.offer(wish)
            delivered, lost = self._step(offered)
            self.senders.heed(delivered, lost, wish, STEP_S)
            sums += (offered, delivered, wish)
        return Passed(*(sums / steps))

    def _step(self, offered_kbps: FloatArray) -> tuple[FloatArray, BoolArray]:
        out, lost = self.shapers.pass_on(offered_kbps[:, :INWARD] * STEP_S, self._rate[LOCAL] * STEP_S)
        self.received += out.sum(axis=1)
        out, cut = self.meters.pass_on(out, STEP_S)
        lost = lost + cut
        link = out[:, LINK:]
        shares = self._uplinks.shares(self.leaves.waiting(link) / STEP_S)
        link, dropped = self.leaves.pass_on(link, shares * STEP_S)
        inward, refused = self.ports.pass_on(offered_kbps[:, INWARD:] * STEP_S, self._rate[INWARD] * STEP_S)
        delivered = np.column_stack([out[:, LOCAL], link[:, 0], inward[:, 0]])
        losses = np.column_stack([lost[:, LOCAL], lost[:, LINK] + dropped[:, 0], refused[:, 0]])
        return delivered / STEP_S, losses > 1e-9

    def counters(self) -> FloatArray:
        """float64[n, n_columns], as `samples.Readings.value` has them."""
        nothing = np.zeros_like(self.received)
        port = [self.received * 125, self.ports.sent * 125, self.received / FRAME_KBIT, self.ports.sent / FRAME_KBIT]
        meter = [self.meters.came * 125, self.meters.dropped * 125]
        columns = [np.floor(column) for column in (*meter, *port)]
        queues = (*self.shapers.columns(), *self.leaves.columns(), *self.ports.columns())
        return np.column_stack([*columns, nothing, nothing, *queues])


def _with(nodes: Sequence[TreeNode], numbers: IntArray) -> list[TreeNode]:
    """The inner nodes, which come first, and the leaves of these VIFs."""
    here = set(numbers.tolist())
    return [node for node in nodes if node.leaf_key is None or node.leaf_key in here]


def _of_leaves(nodes: Sequence[TreeNode]) -> tuple[FloatArray, BoolArray]:
    leaves = sorted((node for node in nodes if node.leaf_key is not None), key=lambda node: node.leaf_key or 0)
    limit = np.array([node.limit_kbps for node in leaves], dtype=np.float64)
    return limit, np.array([node.link is not None for node in leaves], dtype=np.bool_)


def _size(rate_kbps: FloatArray) -> FloatArray:
    return np.where(np.isfinite(rate_kbps), np.maximum(rate_kbps * _BUFFER_S, _LEAST_BUFFER_KBIT), 2400.0)
