"""A packet whose sender's rules change between its two sides is judged anew: by one policy, never by halves of two."""

from __future__ import annotations

import pytest

from controller.compiler.compile import compile_bridge
from controller.dataplane.entries import SwitchState
from tests.support.bridges import UPLINK_OFPORT, Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter
from tests.support.parties_and_packets import tcp, udp
from tests.support.vif_packets import back, frame_fields, send

POLICY = """
weir: 1
segments: {s: {type: bridged, uplink: wan}}
classes: {fast: {dscp: ef, share: 30 %}, normal: {dscp: cs1, share: 60 %}}
policies:
  a: {rules: [{allow: {name: out, direction: egress, service: tcp/80}}]}
  b: {unmatched: allow}
  c: {unmatched: allow, rules: [{allow: {name: marked, class: fast, service: tcp/81}}]}
"""
CLOSED = POLICY.replace("tcp/80}", "tcp/90}")
A, B, C = (Vif(number, path, (f"10.0.0.{number}/24",)) for number, path in enumerate("abc", start=1))
PACKET = tcp("10.0.0.1", "10.0.0.2", 80)
LATER = (1, 2, 3)


def state(text: str, *vifs: Vif) -> SwitchState:
    return compile_bridge(bridge(text, *(vifs or (A, B, C))))


def sent_while(before: SwitchState, after: SwitchState, lookup: int, target: Vif = B) -> tuple[list[int], list[int]]:
    """Ports where it leaves, and the zones in which it was looked up."""
    switch = FlowInterpreter(before)
    switch.hold_from_lookup(lookup, after)
    found = send(switch, tcp("10.0.0.1", f"10.0.0.{target.number}", 80), A, target)
    return [one.port for one in found], switch.zones


def test_a_change_between_the_sides_is_seen() -> None:
    open_, closed = state(POLICY), state(CLOSED)
    assert sent_while(open_, open_, 2) == ([2], [1, 2])
    assert sent_while(open_, closed, 2) == ([], [1, 2, 1])
    assert sent_while(closed, open_, 2) == ([], [1])
    assert sent_while(open_, closed, 1) == ([], [1])


def test_what_still_may_pass_is_looked_at_twice_and_no_more() -> None:
    wider = POLICY.replace("tcp/80}", "tcp/80-81}")
    assert sent_while(state(POLICY), state(wider), 2) == ([2], [1, 2, 1, 2])


def test_a_change_that_keeps_what_leaves_costs_nothing() -> None:
    others = POLICY.replace("b: {unmatched: allow}", "b: {rules: [{allow: {direction: ingress, class: fast}}]}")
    assert sent_while(state(POLICY), state(others), 2) == ([2], [1, 2])


def test_a_change_while_it_is_judged_anew_is_seen_too() -> None:
    switch = FlowInterpreter(state(POLICY))
    switch.hold_from_lookup(2, state(POLICY.replace("tcp/80}", "tcp/80-81}")))
    switch.hold_from_lookup(4, state(CLOSED))
    assert send(switch, PACKET, A, B) == [] and switch.zones == [1, 2, 1, 2, 1]


def test_what_was_sent_by_a_vif_that_is_gone_is_dropped() -> None:
    assert sent_while(state(POLICY), state(POLICY, B, C), 2) == ([], [1, 2])


def test_a_flooded_packet_goes_to_each_receiver_once() -> None:
    """Those that come after the change are judged anew, each for its one receiver."""
    text = POLICY.replace("tcp/80}", "udp/9}")
    wider, shut = text.replace("udp/9}", "udp/9-10}"), text.replace("udp/9}", "udp/10}")
    vifs = [A, B, C, Vif(4, "b", ("10.0.0.4/24",))]
    packet = udp("10.0.0.1", "10.0.0.255", 9)

    def arrives(after: str, lookup: int) -> list[int]:
        switch = FlowInterpreter(state(text, *vifs))
        switch.hold_from_lookup(lookup, state(after, *vifs))
        fields = {**frame_fields(packet, A, None), "eth_dst": (1 << 48) - 1}
        found = switch.send(A.number, **fields)
        assert len(switch.zones) < 12
        return sorted(one.port for one in found)

    everybody = [2, 3, 4, UPLINK_OFPORT]
    assert arrives(text, 99) == everybody
    assert [arrives(wider, lookup) for lookup in (1, 2, 3, 4)] == [everybody] * 4
    assert arrives(shut, 1) == []
    # The copies before the change have gone by the old rules; the one for the outside was judged whole.
    assert [arrives(shut, lookup) for lookup in (2, 3, 4)] == [
        [UPLINK_OFPORT], [2, UPLINK_OFPORT], [2, 3, UPLINK_OFPORT],
    ]  # fmt: skip


def test_what_comes_from_outside_was_judged_by_nobody_before() -> None:
    switch = FlowInterpreter(state(POLICY))
    switch.hold_from_lookup(1, state(CLOSED))
    assert [one.port for one in send(switch, tcp("192.0.2.1", "10.0.0.2", 80), None, B)] == [2]
    assert switch.zones == [2]


def test_replies_are_judged_anew_as_replies() -> None:
    for after, passes in ((POLICY.replace("tcp/80}", "tcp/80-81}"), True), (CLOSED, False)):
        switch = FlowInterpreter(state(POLICY))
        assert send(switch, PACKET, A, B)
        switch.hold_from_lookup(2, state(after))
        assert bool(send(switch, back(PACKET), B, A)) == passes


@pytest.mark.parametrize("lookup", [1, 2, 99])
def test_it_leaves_with_the_mark_of_its_receiver(lookup: int) -> None:
    """The receiver's side is the last that marks, also where its `unmatched` allows."""
    senders = POLICY.replace("service: tcp/80}", "service: tcp/80, class: fast}")
    wider = senders.replace("tcp/80,", "tcp/80-81,")
    switch = FlowInterpreter(state(senders))
    switch.hold_from_lookup(lookup, state(wider))
    (one,) = send(switch, tcp("10.0.0.1", "10.0.0.3", 80), A, C, dscp=46)
    assert one.packet["ip_dscp"] == 8


MOVES = """
weir: 1
segments: {s: {type: bridged, uplink: wan}}
classes: {fast: {dscp: ef, share: 30 %}, normal: {dscp: cs1, share: 60 %}}
policies:
  deep:
    children:
      er:
        mandatory: [{deny: {name: nothing, service: udp/10}}]
        children:
          est: {rules: [{allow: {name: both, service: udp/9}}, {allow: {name: of-deep, service: udp/11, class: fast}}]}
  flat: {rules: [{allow: {name: both, service: udp/9}}, {allow: {name: of-flat, service: udp/10}}]}
"""
DEEP, FLAT = "deep/er/est", "flat"


def moved_state(*paths: str) -> SwitchState:
    """VIFs 1, 2, ... of these leaves."""
    vifs = [Vif(number, path, (f"10.0.0.{number}/24",)) for number, path in enumerate(paths, start=1)]
    return compile_bridge(bridge(MOVES, *vifs))


def arrivals(before: tuple[str, ...], after: tuple[str, ...], lookup: int, port: int, flooded: bool) -> list[int]:
    """Ports where a packet of VIF 1 to VIF 2, or to all, leaves, while VIFs move from leaf to leaf."""
    switch = FlowInterpreter(moved_state(*before))
    switch.hold_from_lookup(lookup, moved_state(*after))
    sender, target = (Vif(number, FLAT, (f"10.0.0.{number}/24",)) for number in (1, 2))
    fields = frame_fields(udp("10.0.0.1", "10.0.0.255" if flooded else "10.0.0.2", port), sender, target)
    if flooded:
        fields["eth_dst"] = (1 << 48) - 1
    return sorted(one.port for one in switch.send(1, **fields) if one.port != UPLINK_OFPORT)


@pytest.mark.parametrize("lookup", [1, 2, 3, 4, 99])
@pytest.mark.parametrize("flooded", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [((DEEP, FLAT, FLAT), (FLAT, FLAT, FLAT)), ((FLAT, FLAT, FLAT), (DEEP, FLAT, FLAT)),
     ((FLAT, DEEP, DEEP), (FLAT, FLAT, FLAT)), ((FLAT, FLAT, FLAT), (FLAT, DEEP, DEEP)),
     ((DEEP, DEEP, FLAT), (FLAT, FLAT, DEEP))],
)  # fmt: skip
def test_a_vif_that_moves_to_another_leaf_loses_nothing_that_both_allow(
    before: tuple[str, ...], after: tuple[str, ...], flooded: bool, lookup: int
) -> None:
    everybody = [2, 3] if flooded else [2]
    assert arrivals(before, after, lookup, 9, flooded) == everybody


@pytest.mark.parametrize("lookup", [1, 2, 3])
@pytest.mark.parametrize("flooded", [False, True])
@pytest.mark.parametrize("port", [10, 11])
def test_nothing_passes_by_the_sender_of_one_policy_and_the_receiver_of_another(
    port: int, flooded: bool, lookup: int
) -> None:
    """Each port is denied on one side before, and on the other one after."""
    assert arrivals((DEEP, FLAT), (FLAT, DEEP), lookup, port, flooded) == []
    assert arrivals((FLAT, DEEP), (DEEP, FLAT), lookup, port, flooded) == []


@pytest.mark.parametrize("lookup", [1, 2, 99])
@pytest.mark.parametrize(("port", "mark"), [(9, 8), (11, 46)])
def test_who_moves_is_marked_by_one_of_its_leaves(port: int, mark: int, lookup: int) -> None:
    """The leaf under `deep` uses classes and the flat one none: then the sender's mark stays."""
    sender, target = (Vif(number, FLAT, (f"10.0.0.{number}/24",)) for number in (1, 2))
    switch = FlowInterpreter(moved_state(DEEP, DEEP))
    switch.hold_from_lookup(lookup, moved_state(DEEP, FLAT) if port == 9 else moved_state(DEEP, DEEP))
    (one,) = send(switch, udp("10.0.0.1", "10.0.0.2", port), sender, target, dscp=0)
    assert one.packet["ip_dscp"] == mark
