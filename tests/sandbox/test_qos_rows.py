"""QoS and Queue rows that a port has for itself, on a real ovsdb-server: made, changed, mended, and none left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ovsdb.open_vswitch import OpenVSwitch
from ovsdb.switch import BridgeConfig, Policing, PortConfig, QosConfig
from tests.sandbox.test_open_vswitch_db import config_of, put
from tests.support.ovs_sandbox import PrivateOvs, wait_until

BUCKETS = {"cir": "1000", "cbs": "4500", "eir": "0", "ebs": "0"}
WANTED = QosConfig("trtcm-policer", BUCKETS, {0: BUCKETS, 47: {**BUCKETS, "cir": "700"}})


@pytest.fixture
def ovs() -> Iterator[PrivateOvs]:
    with PrivateOvs() as ovs:
        yield ovs


@pytest.fixture
def switch(ovs: PrivateOvs) -> Iterator[OpenVSwitch]:
    with OpenVSwitch(ovs.remote) as switch:
        switch.connect()
        yield switch


def config(ovs: PrivateOvs) -> BridgeConfig:
    """v1 with rows of its own, v2 with the one that others share."""
    whole = config_of(ovs, "v1", "v2")
    own = PortConfig("v1", qos=WANTED, policing=Policing(8000, 9000), rxq_affinity="0:1")
    return replace(whole, ports={**whole.ports, "v1": own})


def count(ovs: PrivateOvs, table: str) -> int:
    return len(ovs.vsctl("--columns=_uuid", "list", table).split("_uuid")) - 1


def is_right(ovs: PrivateOvs) -> bool:
    row = ovs.vsctl("get", "Port", "v1", "qos").strip()
    counts = count(ovs, "QoS"), count(ovs, "Queue")
    return counts == (2, 2) and ovs.vsctl("get", "QoS", row, "other_config:cir").strip() == '"1000"'


def with_port(whole: BridgeConfig, **changes: Any) -> BridgeConfig:
    return replace(whole, ports={**whole.ports, "v1": replace(whole.ports["v1"], **changes)})


def test_rows_follow_what_is_wanted(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    whole = config(ovs)
    put(switch, whole)
    assert (count(ovs, "QoS"), count(ovs, "Queue")) == (2, 2)
    assert ovs.vsctl("get", "Interface", "v1", "ingress_policing_rate", "ingress_policing_burst").split() == [
        "8000",
        "9000",
    ]
    assert ovs.vsctl("get", "Interface", "v1", "other_config:pmd-rxq-affinity").strip() == '"0:1"'
    assert switch.ports("br-weir")["v1"].rxq_affinity == "0:1" and switch.ports("br-weir")["v2"].noop_qos
    put(switch, with_port(whole, qos=QosConfig("egress-policer", {"cir": "5", "cbs": "6"})))
    assert (count(ovs, "QoS"), count(ovs, "Queue")) == (2, 0)
    assert ovs.vsctl("get", "QoS", ovs.vsctl("get", "Port", "v1", "qos").strip(), "other_config:cir").strip() == '"5"'
    put(switch, with_port(whole, qos=None, policing=None, rxq_affinity=None))
    assert (count(ovs, "QoS"), count(ovs, "Queue")) == (1, 0)
    assert ovs.vsctl("get", "Interface", "v1", "ingress_policing_rate", "other_config").split() == ["0", "{}"]


def test_rows_changed_by_hand_are_mended(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    whole = config(ovs)
    put(switch, whole)
    row = ovs.vsctl("get", "Port", "v1", "qos").strip()
    for words in (
        ("clear", "QoS", row, "queues"),
        ("set", "QoS", row, "other_config:cir=9"),
        ("remove", "QoS", row, "queues", "47"),
        ("clear", "Port", "v1", "qos", "--", "destroy", "QoS", row),
    ):
        ovs.vsctl(*words)
        wait_until(lambda: (switch.run(), put(switch, whole), is_right(ovs))[2], f"seen and mended: {words}")
        row = ovs.vsctl("get", "Port", "v1", "qos").strip()


def test_what_is_removed_leaves_no_rows_but_others(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    whole = config(ovs)
    ovs.vsctl("--", "--id=@q", "create", "Queue", "external_ids:whose=somebody")
    put(switch, whole)
    put(switch, replace(whole, ports={"v2": whole.ports["v2"]}))
    assert (count(ovs, "QoS"), count(ovs, "Queue")) == (1, 1)
    put(switch, whole)
    switch.await_applied(switch.remove("br-weir", "h1"), 20)
    assert (count(ovs, "QoS"), count(ovs, "Queue")) == (0, 1)
