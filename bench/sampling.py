"""What it takes to look: processor time of controller and agent for a thousand VIFs at one tick a second.

The controller is the real one, with its switch, its database and an agent that sends samples, with what probes say;
audits and the counters of rules rest, so that all of its time is the loop's, or that of a process that waits. The
agent's sampling is the real one, without its probes, on real links with real queues. Beside each stands what the usual
tool takes to read the same once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controller.stream.messages import HostSample, encode, part_of
from lab.sampled_controller import sampled_controller
from lab.sampled_host import SampledHost, sampled_host

VIFS = 1000
ACTIVE = (0, 100, VIFS)
MOST_CONTROLLER = 0.02  # of a core
# By VIFs that send, as part of what tc takes to read the same in the agent's own namespace. The shapers stand in those
# of the instances: tc would have to be started once for each.
MOST_AGENT = {0: 0.6, 100: 1.2, VIFS: 4.0}
_WINDOW_S, _SAMPLES, _TOOL_TIMES = 15.0, 20, 5


@dataclass(frozen=True, slots=True)
class Share:
    """who: controller or agent. share: of a core. limit: what the tool takes, of a core, once a second."""

    who: str
    active: int
    share: float
    limit: float


def measure(say: Callable[[str], None]) -> list[Share]:
    """Raises LabError."""
    return [*_controller(say), *_agent(say)]


def _controller(say: Callable[[str], None]) -> list[Share]:
    say(f"sampling: the controller's share for {VIFS:,} VIFs ...")
    with sampled_controller(VIFS) as site:
        site.start(1.0)
        limit = _by_tool(site.by_hand)
        found = [Share("controller", active, site.share(active, _WINDOW_S), limit) for active in ACTIVE]
        say(f"sampling: the loop itself says {site.own_share():.2%}")
    return found


def _agent(say: Callable[[str], None]) -> list[Share]:
    say(f"sampling: the agent's share for {VIFS:,} VIFs ...")
    with sampled_host(VIFS) as host:
        limit = _by_tool(host.by_hand)
        return [Share("agent", active, _sampled(host, active), limit) for active in ACTIVE]


def _sampled(host: SampledHost, active: int) -> float:
    """Of a core, at a sampling a second; the clock is played, and what is read whole now and then comes in its turn."""
    last: HostSample | None = None
    spent_s = 0.0
    for second in range(_SAMPLES):
        host.send(range(1, active + 1))
        begun_s = time.process_time()
        sample = HostSample("h1", second, host.trees.sample(float(second)))
        encode(part_of(sample, last))
        spent_s += time.process_time() - begun_s
        last = sample
    return spent_s / _SAMPLES


def _by_tool(tool: Callable[[], None]) -> float:
    """Processor time of the programs that it starts, in seconds."""
    before = os.times()
    for _ in range(_TOOL_TIMES):
        tool()
    after = os.times()
    taken_s = after.children_user + after.children_system - before.children_user - before.children_system
    return taken_s / _TOOL_TIMES


def table(shares: Sequence[Share]) -> str:
    """Markdown; empty for nothing."""
    if not shares:
        return ""
    lines = [
        f"### What looking takes: {VIFS:,} VIFs, one tick a second",
        "| who | VIFs that send | of a core | the tool takes | ratio | the tool is |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    tools = {
        "controller": "`ovs-ofctl meter-stats` and `dump-ports`",
        "agent": "`tc -s -j` of uplink and ports, without the shapers",
    }
    lines += [
        f"| {one.who} | {one.active:,} | {one.share:.2%} | {one.limit:.2%} | {one.share / one.limit:.1f}"
        f" | {tools[one.who]} |"
        for one in shares
    ]
    return "\n".join(lines) + "\n"


def faults(shares: Sequence[Share]) -> list[str]:
    """What must not be, a sentence each."""
    found = []
    for one in shares:
        if one.who == "controller" and one.share > MOST_CONTROLLER:
            found.append(f"The loop takes {one.share:.1%} of a core with {one.active:,} VIFs that send, not 2 %.")
        if one.who == "agent" and one.share > MOST_AGENT[one.active] * one.limit:
            most = f"{MOST_AGENT[one.active]:g} times what tc takes ({one.limit:.1%})"
            found.append(f"Sampling takes {one.share:.1%} of a core with {one.active:,} VIFs that send, not {most}.")
    return found
