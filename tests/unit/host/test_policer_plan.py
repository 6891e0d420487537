"""Numbers of DPDK's policers: the limit is never passed, and every class has its part."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dataplane.entries import MeterBody
from controller.host.class_queues import ClassShare
from controller.host.desired import Limits
from controller.host.policer_plan import EGRESS_POLICER, TRTCM_POLICER, bucket, from_vif, least_burst_kbit, to_vif
from ovsdb.switch import QosConfig

LIMITS = Limits(ingress_kbps=8000, egress_kbps=4000)
GOLD, REST = ClassShare(0.3, (46, 10)), ClassShare(0.5)


def held(limits: Limits, classes: Sequence[ClassShare], mtu: int) -> QosConfig:
    body = bucket(limits, classes, mtu)
    assert body is not None
    return to_vif(body, classes, mtu)


def test_without_limits_there_is_nothing() -> None:
    assert bucket(Limits(), (GOLD, REST), 1500) is None and from_vif(Limits()) is None


def test_a_limit_in_frames_is_one_in_packets() -> None:
    qos = held(LIMITS, (), 1400)
    assert qos.type == EGRESS_POLICER and not qos.queues
    assert int(qos.other_config["cir"]) * 8 * 1414 / 1400 == pytest.approx(8_000_000, rel=1e-5)
    assert int(qos.other_config["cbs"]) == 200_000  # 200 ms, for TCP


def test_a_chosen_burst_holds_three_frames_at_least() -> None:
    for chosen, burst in ((50_000, 50_000), (10, 34 * 125)):
        qos = held(Limits(ingress_kbps=8000, ingress_burst_bytes=chosen), (), 1400)
        assert qos.other_config["cbs"] == str(burst)


def test_classes_are_queues_and_what_none_is_promised_is_for_all() -> None:
    qos = held(LIMITS, (GOLD, REST), 1400)
    assert qos.type == TRTCM_POLICER
    rate = 990_099
    assert {queue: (int(one["cir"]), int(one["eir"])) for queue, one in qos.queues.items()} == {
        47: (int(0.3 * rate), int(0.2 * rate)),
        0: (int(0.5 * rate), int(0.2 * rate)),
    }
    kept = int(0.3 * rate) + int(0.5 * rate)
    assert (int(qos.other_config["cir"]), int(qos.other_config["eir"])) == (kept, rate - kept)


@given(st.integers(1, 10**8), st.lists(st.floats(0, 1), max_size=6))
def test_the_sum_never_passes_the_limit(limit_kbps: int, shares: list[float]) -> None:
    classes = [ClassShare(share, (number,)) for number, share in enumerate(shares)]
    qos = held(Limits(ingress_kbps=limit_kbps), classes, 1500)
    total = int(qos.other_config["cir"]) + int(qos.other_config.get("eir", "0"))
    assert total == pytest.approx(limit_kbps * 125 * 1500 / 1514, abs=2)
    if classes:
        assert 0 in qos.queues
        promised = sum(int(one["cir"]) for one in qos.queues.values())
        assert promised == int(qos.other_config["cir"])
        keys = {"cir", "cbs", "eir", "ebs"}
        assert all(one.keys() == keys and int(one["cbs"]) > 0 for one in (*qos.queues.values(), qos.other_config))


def test_the_guard_leaves_the_meter_something_to_count() -> None:
    guard = from_vif(LIMITS)
    assert guard is not None and (guard.rate_kbps, guard.burst_kbit) == (8000, 8000)


@given(st.integers(0, 10**6), st.lists(st.floats(0, 1), max_size=6), st.integers(1280, 9000))
def test_what_a_refill_lets_through_is_the_burst(more_kbit: int, shares: list[float], mtu: int) -> None:
    """Of the policer of all classes, through which each of them passes."""
    classes = [ClassShare(share, (number,)) for number, share in enumerate(shares)]
    body = MeterBody(8000, least_burst_kbit(classes, mtu) + more_kbit)
    qos = to_vif(body, classes, mtu)
    whole = [int(qos.other_config[key]) for key in ("cbs", "ebs") if key in qos.other_config]
    assert sum(whole) == body.burst_kbit * 125 and min(whole) >= 3 * (mtu + 14)
