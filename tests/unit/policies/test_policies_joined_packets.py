"""What queues on the kernel's datapath keep slower or larger than a policy says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.hierarchy import Member
from policies.joined_packets import kept_of_joined
from policies.own_numbers import Own
from policies.parser import parse

TEXT = """\
weir: 1
segments: {office: {type: bridged, uplink: wan}}
links: {wan: {capacity: 10 gbit, hosts: [h1]}}
classes: {fast: {share: 40 %}, normal: {share: 60 %}}
policies:
  acme:
    ingress: {limit: 10 gbit}
    buffer: 128 kib
    children:
      web: {congestion: {queue: red}}
      plain: {}
      easy: {congestion: {queue: fq_codel}}
"""
DEEP = "p.yaml:6:3: policies.acme.buffer: there each queue of the sort red holds 128 KiB, as joined packets come whole"
NARROW = "there one queue passes at most 10 gbit"
WEB, PLAIN = (Member(1, "v1", f"acme/{leaf}", "wan", "h1", segment="office") for leaf in ("web", "plain"))


def told(member: Member, *change: str, hosts: tuple[str, ...] = ("h1", "h2")) -> list[str]:
    return kept_of_joined(parse({"p.yaml": TEXT.replace(*change) if change else TEXT}), [member], hosts)


def test_what_a_queue_can_keep_is_kept() -> None:
    assert told(WEB) == told(PLAIN) == told(PLAIN, "128 kib", "1 kib") == []


@pytest.mark.parametrize(
    "change", [("128 kib", "127 kib"), ("queue: red}", "queue: red}, rules: [allow: {class: fast}]")]
)
def test_a_small_queue_that_cuts_nothing_is_larger_also_where_classes_divide_it(change: tuple[str, str]) -> None:
    (line,) = told(WEB, *change)
    assert line.startswith(f"host 'h1': {DEEP}. Ask for that much for each")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("capacity: 10 gbit", "capacity: 25 gbit"), "p.yaml:3:9: links.wan.capacity"),
        (("limit: 10 gbit", "limit: 25 gbit"), "p.yaml:6:3: policies.acme.ingress.limit"),
    ],
)
def test_a_rate_that_one_queue_does_not_pass_is_told(change: tuple[str, str], place: str) -> None:
    (line,) = told(PLAIN, *change)
    assert line.startswith(f"host 'h1': {place}: {NARROW}. Use the userspace")
    assert told(PLAIN, *change, hosts=()) == []


def test_its_own_limit_is_looked_at_and_other_hosts_links_are_not() -> None:
    (line,) = told(replace(PLAIN, ingress=Own(limit_kbps=25_000_000)))
    assert line.startswith(f"host 'h1': VIF 'v1': its own ingress limit: {NARROW}")
    assert told(replace(PLAIN, chassis="h2"), "capacity: 10 gbit", "capacity: 25 gbit") == []
    assert told(replace(PLAIN, policy="gone")) == told(replace(PLAIN, chassis=None)) == []
