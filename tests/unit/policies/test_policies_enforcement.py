"""The matrix of what keeps a promise, and what a policy promises to one interface."""

from __future__ import annotations

from itertools import product

import pytest

from ovsdb.rows import DATAPATH, KERNEL, USERSPACE
from policies import enforcement
from policies.enforcement import KINDS, YES, Feature, Port, asked, keeping, lack, limits_ingress
from policies.own_numbers import INHERITED, Own
from policies.parser import parse

ABILITIES = (
    "htb", "tbf", "bfifo", "head_drop", "red", "fq_codel", "ecn", "u32", "meters", "packet_meters", "egress_policer",
    "trtcm_policer",
)  # fmt: skip
ABLE = dict.fromkeys(ABILITIES, YES)
UNABLE = dict.fromkeys(ABILITIES, "no: the kernel says that it has none")
PORTS = [*(Port(kind) for kind in KINDS), Port("vf", has_representor=False)]
BARE = PORTS[-1]
VHOST_NEVER = {Feature.BUFFER, Feature.RED, Feature.FQ_CODEL, Feature.ECN}


@pytest.mark.parametrize("abilities", [ABLE, UNABLE, {}, {**ABLE, "offload": YES}])
@pytest.mark.parametrize(("feature", "port"), list(product(Feature, PORTS)))
def test_each_is_kept_or_not_and_then_has_a_reason_and_a_remedy(
    feature: Feature, port: Port, abilities: dict[str, str]
) -> None:
    found = keeping(feature, port, abilities)
    assert (found.how is None) == (found.why_not is not None) == (found.remedy is not None)
    for text in (found.how, found.why_not, found.remedy, found.note):
        assert text is None or (text and text.isprintable() and not text.endswith("."))


def kept(port: Port, abilities: dict[str, str]) -> set[Feature]:
    return {feature for feature in Feature if keeping(feature, port, abilities).how is not None}


def test_what_an_able_host_keeps_for_each_kind() -> None:
    every = set(Feature)
    for kind in ("veth", "tap", "port", "vf"):
        assert kept(Port(kind), ABLE) == every - {Feature.QUEUES}
    assert kept(Port("vhost-user"), ABLE) == every - VHOST_NEVER
    assert kept(BARE, ABLE) == set()
    assert kept(Port("vf"), {**ABLE, "offload": YES}) == every - VHOST_NEVER - {
        Feature.EGRESS_SHARE, Feature.EGRESS_CLASSES, Feature.INGRESS_LIMIT, Feature.INGRESS_CLASSES, Feature.QUEUES,
    }  # fmt: skip


@pytest.mark.parametrize("feature", list(Feature))
def test_what_the_nic_passes_has_a_remedy_that_the_agent_goes_by_too(feature: Feature) -> None:
    found = keeping(feature, Port("vf"), {**ABLE, "offload": YES})
    assert feature is Feature.QUEUES or found.how is not None or "hw-offload=false" in (found.remedy or "")


@pytest.mark.parametrize("port", PORTS)
def test_what_is_not_known_is_not_refused(port: Port) -> None:
    assert kept(port, {}) == kept(port, ABLE)


def test_what_a_host_has_not_said_is_untried() -> None:
    assert keeping(Feature.EGRESS_LIMIT, Port("veth"), {}).untried == ("tbf", "meters")
    assert keeping(Feature.EGRESS_LIMIT, Port("veth"), {"tbf": YES}).untried == ("meters",)
    assert keeping(Feature.EGRESS_LIMIT, Port("veth"), ABLE).untried == ()
    assert keeping(Feature.QUEUES, Port("vhost-user"), {}).untried == ()


def test_packets_on_the_kernels_datapath_are_counted_joined() -> None:
    kernel = {**ABLE, DATAPATH: KERNEL}
    for feature in Feature:
        in_kernel, in_userspace = (
            keeping(feature, Port("veth"), one).note for one in (kernel, {**ABLE, DATAPATH: USERSPACE})
        )
        assert (in_kernel != in_userspace) == (feature in {Feature.EGRESS_PACKETS, Feature.INGRESS_PACKETS})
    assert "64 KB" in (keeping(Feature.INGRESS_PACKETS, Port("tap"), kernel).note or "")


def test_a_host_that_can_nothing_keeps_only_what_needs_nothing() -> None:
    assert {(port.kind, feature) for port in PORTS for feature in kept(port, UNABLE)} == {
        ("vhost-user", Feature.QUEUES)
    }


@pytest.mark.parametrize(
    ("kind", "missing", "lost"),
    [
        ("veth", "tbf", {Feature.EGRESS_LIMIT}),
        ("tap", "tbf", set()),
        ("tap", "packet_meters", {Feature.EGRESS_PACKETS, Feature.INGRESS_PACKETS, Feature.CPU}),
        ("veth", "bfifo", {Feature.INGRESS_LIMIT, Feature.BUFFER}),
        ("veth", "fq_codel", {Feature.FQ_CODEL}),
        ("veth", "ecn", {Feature.ECN}),
        ("veth", "u32", {Feature.EGRESS_SHARE, Feature.EGRESS_CLASSES, Feature.INGRESS_CLASSES}),
        ("vhost-user", "egress_policer", {Feature.INGRESS_LIMIT}),
        ("vhost-user", "trtcm_policer", {Feature.INGRESS_CLASSES}),
        ("veth", "egress_policer", set()),
    ],
)
def test_what_one_missing_ability_takes_away_and_the_reason_is_the_hosts(
    kind: str, missing: str, lost: set[Feature]
) -> None:
    abilities = {**ABLE, missing: "no: of a reason: its own"}
    assert kept(Port(kind), ABLE) - kept(Port(kind), abilities) == lost
    assert all(keeping(feature, Port(kind), abilities).why_not == "of a reason: its own" for feature in lost)


def test_on_the_kernels_datapath_each_queue_of_a_tree_is_a_tbf() -> None:
    queued = {Feature.EGRESS_SHARE, Feature.EGRESS_CLASSES, Feature.INGRESS_LIMIT, Feature.INGRESS_CLASSES}
    without = {**ABLE, "tbf": "no: it has none"}
    assert kept(Port("tap"), {**without, "datapath": "netdev"}) == kept(Port("tap"), ABLE)
    assert kept(Port("tap"), ABLE) - kept(Port("tap"), {**without, "datapath": "system"}) == queued
    assert kept(Port("tap"), {**ABLE, "datapath": "system"}) == kept(Port("tap"), ABLE)
    assert "tbf" in keeping(Feature.EGRESS_SHARE, Port("tap"), {"datapath": "system"}).untried


@pytest.mark.parametrize(
    ("word", "reason"), [(YES, None), ("1000", None), ("no: why", "why"), ("no", "the host has no htb")]
)
def test_words_of_abilities(word: str, reason: str | None) -> None:
    assert lack({"htb": word}, "tbf", "htb") == reason


POLICIES = parse(
    {
        "p.yaml": """
weir: 1
classes:
  fast: {share: 40 %}
  normal: {share: 60 %}
policies:
  acme:
    egress: {limit: 50 mbit, packets: 9 kpps}
    buffer: 64 kib
    cpu: 20 %
    best-effort: true
    children:
      web:
        egress: {guarantee: 1 mbit, weight: 3}
        ingress: {limit: 5 mbit, packets: 2 kpps}
        cpu: 10 %
        queues: 2
        congestion: {queue: red, ecn: true}
        best-effort: false
        rules: [allow: {class: fast}]
      db: {congestion: {queue: fifo}, queues: 1}
      lone: {rules: [allow: {class: fast}]}
  free: {egress: {weight: 1}}
"""
    }
)


def said(path: str, egress: Own = INHERITED, ingress: Own = INHERITED) -> set[tuple[str, str | None, str]]:
    return {(one.feature.value, one.node, ".".join(one.steps)) for one in asked(POLICIES, path, egress, ingress)}


ABOVE = {("egress limit", "acme", "egress.limit"), ("egress packets", "acme", "egress.packets")}


def test_what_a_leaf_and_those_above_it_promise() -> None:
    assert said("acme/web") == {
        *ABOVE,
        ("egress guarantee and weight", "acme/web", "egress.guarantee"),
        ("ingress limit", "acme/web", "ingress.limit"),
        ("ingress packets", "acme/web", "ingress.packets"),
        ("egress classes", "acme/web", ""),
        ("ingress classes", "acme/web", ""),
        ("buffer", "acme", "buffer"),
        ("cpu", "acme/web", "cpu"),
        ("queues", "acme/web", "queues"),
        ("congestion red", "acme/web", "congestion"),
        ("congestion ecn", "acme/web", "congestion"),
    }
    assert said("acme/db") == {*ABOVE, ("buffer", "acme", "buffer"), ("cpu", "acme", "cpu")}
    assert ("ingress classes", "acme/lone", "") not in said("acme/lone")  # no ingress limit that they could divide
    assert ("egress classes", "acme/lone", "") in said("acme/lone")


@pytest.mark.parametrize("path", ["free", "acme", "nosuch"])
def test_where_nothing_is_promised(path: str) -> None:
    assert said(path) == set()


def test_its_own_numbers_are_promises_too() -> None:
    assert said("free", Own(limit_kbps=5), Own(guarantee_kbps=5)) == {("egress limit", None, "egress.limit")}
    assert said("free", Own(guarantee_kbps=5), Own(limit_kbps=5)) == {
        ("egress guarantee and weight", None, "egress.guarantee"),
        ("ingress limit", None, "ingress.limit"),
    }


def test_best_effort_is_the_leafs() -> None:
    assert {one.best_effort for one in asked(POLICIES, "acme/web", INHERITED, INHERITED)} == {False}
    assert {one.best_effort for one in asked(POLICIES, "acme/db", INHERITED, INHERITED)} == {True}


@pytest.mark.parametrize(
    ("path", "own", "is_limited"),
    [
        ("acme/web", INHERITED, True),
        ("acme/db", INHERITED, False),
        ("free", Own(limit_kbps=5), True),
        ("free", Own(guarantee_kbps=5), False),
        ("nosuch", INHERITED, False),
    ],
)
def test_what_bounds_what_reaches_an_interface(path: str, own: Own, is_limited: bool) -> None:
    assert limits_ingress(POLICIES, path, own) == is_limited


def test_every_ability_named_here_is_one_of_the_modules() -> None:
    names = {value for name, value in vars(enforcement).items() if name.isupper() and isinstance(value, str)}
    assert set(ABILITIES) <= names
