"""What buffers cost the switch, and when it has not that much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.buffers import cost_bytes, frames_of, needed_bytes, short_buffers, shortage
from policies.hierarchy import Member
from policies.own_numbers import Own
from policies.parser import parse

POLICIES = parse(
    {
        "p.yaml": """
weir: 1
segments:
  office: {type: bridged, uplink: wan}
  other: {type: bridged, uplink: lan}
  jumbo: {type: internal, mtu: 9000}
links:
  wan: {capacity: 60 mbit, hosts: [h1]}
classes:
  fast: {share: 40 %}
  normal: {share: 60 %}
policies:
  acme:
    buffer: 15140 b
    children:
      web: {}
      in: {ingress: {limit: 5 mbit}}
      divided: {rules: [allow: {class: fast}]}
      early: {congestion: {queue: red}}
      codel: {congestion: {queue: fq_codel}}
      easy: {best-effort: true}
  free: {}
"""
    }
)
FRAME = 2048 + 256


def at(policy: str, segment: str = "office", uplink: str | None = "wan", number: int = 1) -> Member:
    return Member(number, f"v{number}", f"acme/{policy}", uplink, "h1", segment=segment)


def test_what_a_frame_takes_and_how_many_fit() -> None:
    assert [cost_bytes(size) for size in (100, 1518, 9018)] == [1024 + 256, FRAME, 16_384 + 256]
    assert [frames_of(size, 1518) for size in (15_140, 15_139, 1)] == [10, 9, 1]


@pytest.mark.parametrize(
    ("member", "frames"),
    [
        (at("web"), 10),  # at its uplink
        (replace(at("web"), ingress=Own(limit_kbps=5)), 20),  # and at its port
        (at("in"), 20),
        (at("in", "jumbo", None), 1 * 16_640 / FRAME),
        (at("web", "other", "lan"), 0),  # an uplink of no known capacity has no queues
        (replace(at("in"), chassis="h2"), 0),  # nor has this host
        (at("divided"), 4 + 6),
        (at("early"), 252 * 1280 / FRAME),  # bounded in bytes: full of the smallest frames
        (at("codel"), 10),
        (replace(at("web"), policy="free"), 0),
        (replace(at("web"), policy="nosuch"), 0),
    ],
)
def test_what_a_vif_may_have_waiting(member: Member, frames: float) -> None:
    assert needed_bytes(POLICIES, [member], "h1") == frames * FRAME
    assert needed_bytes(POLICIES, [member, replace(member, number=2)], "h1") == 2 * frames * FRAME


def test_each_device_of_an_uplink_has_queues() -> None:
    limited = replace(at("web"), ingress=Own(limit_kbps=5))
    devices = {("h1", "wan"): 3, ("h2", "wan"): 9, ("h1", "lan"): 9}
    assert needed_bytes(POLICIES, [at("web")], "h1", devices) == 30 * FRAME
    assert needed_bytes(POLICIES, [limited], "h1", devices) == 40 * FRAME
    assert needed_bytes(POLICIES, [at("web", "other", "lan")], "h1", devices) == 0
    (breach,) = short_buffers(POLICIES, [at("web")], {"h1": 29 * FRAME}, devices)
    assert breach.excess_bytes == FRAME


def test_a_host_that_has_too_little_is_named_with_the_place_that_asks_for_most() -> None:
    members = [at("in", number=1), at("easy", number=2)]
    (breach,) = short_buffers(POLICIES, members, {"h1": 30 * FRAME - 1, "h2": 1})
    assert str(breach).startswith(
        f"host 'h1': p.yaml:13:3: policies.acme.buffer: full queues may take {30 * FRAME} bytes of the send buffer of "
        f"Open vSwitch, which holds {30 * FRAME - 1}. "
    )
    assert breach.excess_bytes == 1
    assert list(short_buffers(POLICIES, members, {"h1": 30 * FRAME})) == []
    assert list(short_buffers(POLICIES, members, {})) == []


def test_who_is_best_effort_is_not_refused() -> None:
    assert list(short_buffers(POLICIES, [at("easy")], {"h1": 1})) == []


def test_a_shortage_says_what_is_needed_and_what_there_is() -> None:
    assert shortage(1000, 1000) is None
    assert "1001 bytes of the send buffer of Open vSwitch, which holds 1000" in (shortage(1001, 1000) or "")
