"""UDP floods between hosts and what arrives of each, at the receivers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from lab.udp import UdpReceiver, UdpSender
from mininet_tests.network import Host

_FIRST_PORT = 5001
SETTLE_S = 1.5  # what burst and queues held at the start has passed by then
_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow under way."""

    sender: UdpSender
    receiver: UdpReceiver
    port: int

    def offer(self, rate_mbit: float) -> float:
        """From now on, which is the time returned (CLOCK_MONOTONIC)."""
        return self.sender.offer(rate_mbit * 1000).at_s


@contextmanager
def flows(*ends: tuple[Host, Host]) -> Iterator[list[Flow]]:
    """A flow from the first to the second host of each pair, which offers nothing yet."""
    with ExitStack() as stack:
        made = []
        for port, (source, target) in enumerate(ends, _FIRST_PORT):
            receiver = stack.enter_context(UdpReceiver(target.namespace, [port]))
            made.append(Flow(stack.enter_context(UdpSender(source.namespace, target.v4, port)), receiver, port))
        yield made


def rates_mbit(measured: Sequence[Flow], from_s: float, duration_s: float) -> list[float]:
    """Frame rate of each flow in that time, once it is over."""
    for flow in measured:
        flow.receiver.await_time(from_s + duration_s)
    return [flow.receiver.series(flow.port).kbps(from_s, from_s + duration_s) / 1000 for flow in measured]


def await_rates(
    measured: Sequence[Flow], from_s: float, duration_s: float, is_right: Callable[[list[float]], bool]
) -> None:
    """Window after window until the rates in one are right: others use this machine too. Raises AssertionError."""
    end_s = time.monotonic() + _DEADLINE_S
    while not is_right(found := rates_mbit(measured, from_s, duration_s)):
        assert time.monotonic() < end_s, f"the last window of {duration_s:g} s: {found} Mbit/s"
        from_s += duration_s
