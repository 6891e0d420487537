"""The Open_vSwitch database on a real ovsdb-server and ovs-vswitchd in a namespace of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ovsdb.open_vswitch import NotApplied, OpenVSwitch
from ovsdb.switch import BridgeConfig, PortConfig
from ovsdb.transaction import Refused
from tests.support.ovs_sandbox import PrivateOvs, wait_until

FLOW = "table=5,priority=7,cookie=0xabc,tcp,actions=drop"
CONTROLLER = "tcp:127.0.0.1:16653"  # nobody listens there


@pytest.fixture
def ovs() -> Iterator[PrivateOvs]:
    with PrivateOvs() as ovs:
        yield ovs


@pytest.fixture
def switch(ovs: PrivateOvs) -> Iterator[OpenVSwitch]:
    with OpenVSwitch(ovs.remote) as switch:
        switch.connect()
        yield switch


def config_of(ovs: PrivateOvs, *names: str, **changes: object) -> BridgeConfig:
    """A bridge with a veth's end per name; the devices are made."""
    for name in names:
        ovs.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
    ports = {name: PortConfig(name, iface_id=f"vif-{name}", noop_qos=True) for name in names}
    whole = BridgeConfig(
        "br-weir", "h1", controller=CONTROLLER, table_names={0: "classify", 5: "antispoof"}, ports=ports
    )
    return replace(whole, **changes)


def put(switch: OpenVSwitch, config: BridgeConfig) -> None:
    """Until nothing is left to do."""
    while True:
        generation = switch.generation
        switch.await_applied(switch.apply(config), 20)
        if not switch.run() and switch.generation == generation:
            return


def qdisc(ovs: PrivateOvs, device: str) -> str:
    return ovs.run("tc", "qdisc", "show", "dev", device)


def dump(ovs: PrivateOvs) -> str:
    """The configuration, without what the switch itself writes."""
    columns = {
        "Bridge": "name,controller,datapath_type,external_ids,fail_mode,flow_tables,other_config,ports,protocols",
        "Port": "name,interfaces,qos,external_ids",
        "Interface": "name,type,external_ids",
        "QoS": "type,external_ids",
        "Controller": "target,max_backoff,inactivity_probe",
        "Flow_Table": "name,external_ids",
    }
    return "\n".join(ovs.vsctl(f"--columns={names}", "list", table) for table, names in columns.items())


def test_a_bridge_is_made_whole_and_a_second_time_nothing_is_written(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    config = config_of(ovs, "v1", "v2")
    put(switch, config)
    ports = switch.ports("br-weir")
    assert {name: (port.iface_id, port.owner, port.error, port.noop_qos) for name, port in ports.items()} == {
        "v1": ("vif-v1", "h1", None, True),
        "v2": ("vif-v2", "h1", None, True),
    }
    assert sorted(port.ofport or 0 for port in ports.values()) == [1, 2]
    bridge = switch.bridge("br-weir")
    assert bridge is not None and bridge.owner == "h1" and bridge.controllers == (CONTROLLER,) and not bridge.connected
    assert f"dpid:{bridge.datapath_id}" in ovs.ofctl("show", "br-weir")
    ovs.ofctl("add-flow", "br-weir", FLOW)
    assert "table=classify" not in ovs.run("ovs-ofctl", "--names", "dump-flows", "br-weir")
    assert "table=antispoof" in ovs.run("ovs-ofctl", "--names", "dump-flows", "br-weir")
    before = ovs.vsctl("get", "Open_vSwitch", ".", "next_cfg")
    for _ in range(3):
        switch.apply(config)
    with OpenVSwitch(ovs.remote) as other:  # which has no memory of having found it right
        other.connect()
        other.apply(config)
    assert ovs.vsctl("get", "Open_vSwitch", ".", "next_cfg") == before


def test_port_numbers_outlive_a_restart_of_the_switch(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    config = config_of(ovs, "v1", "v2", "v3")
    put(switch, config)
    put(switch, replace(config, ports={name: port for name, port in config.ports.items() if name != "v1"}))
    before = {name: port.ofport for name, port in switch.ports("br-weir").items()}
    assert sorted(before) == ["v2", "v3"]
    datapath_id = switch.bridge("br-weir").datapath_id
    ovs.restart_vswitchd(kill=True)
    switch.run()
    put(switch, config)
    after = {name: port.ofport for name, port in switch.ports("br-weir").items()}
    assert {name: after[name] for name in before} == before
    assert after["v1"] not in before.values()
    assert switch.bridge("br-weir").datapath_id == datapath_id


def test_flows_stay_when_the_controller_target_or_anything_else_is_mended(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    config = config_of(ovs, "v1")
    put(switch, config)
    ovs.ofctl("add-flow", "br-weir", FLOW)
    put(switch, replace(config, controller="tcp:127.0.0.1:16654"))
    assert switch.bridge("br-weir").controllers == ("tcp:127.0.0.1:16654",)
    put(switch, config_of(ovs, "v9", controller="tcp:127.0.0.1:16654"))
    ovs.vsctl("clear", "Bridge", "br-weir", "other_config", "--", "set", "Bridge", "br-weir", "protocols=OpenFlow13")
    wanted = config_of(ovs, controller="tcp:127.0.0.1:16654")
    wait_until(
        lambda: (switch.run(), put(switch, wanted), "disable-in-band" in dump(ovs))[2], "the edit seen and mended"
    )
    assert "cookie=0xabc" in ovs.ofctl("dump-flows", "br-weir")
    assert not switch.ports("br-weir")


def test_a_device_that_is_not_there_is_an_error_of_its_port_alone(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    config = config_of(ovs, "v1")
    put(switch, replace(config, ports={**config.ports, "gone": PortConfig("gone", iface_id="x")}))
    ports = switch.ports("br-weir")
    assert ports["v1"].ofport == 1
    assert ports["gone"].ofport is None
    assert "No such device" in (ports["gone"].error or "")


def test_queueing_disciplines_are_left_alone_on_noop_ports(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    config = config_of(ovs, "v1")
    put(switch, config)
    ovs.run("tc", "qdisc", "replace", "dev", "v1", "root", "handle", "7:", "htb")
    ovs.restart_vswitchd()
    put(switch, config)
    assert "htb 7:" in qdisc(ovs, "v1")


def test_a_bridge_of_somebody_else_is_adopted_and_given_back(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    for name in ("theirs", "uplink"):
        ovs.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
    ovs.vsctl(
        *("add-br", "br-weir", "--", "set", "bridge", "br-weir", "datapath_type=netdev", "protocols=OpenFlow10"),
        *("--", "add-port", "br-weir", "theirs", "--", "set", "Interface", "theirs", "external_ids:iface-id=vm1"),
        *("--", "add-port", "br-weir", "uplink", "--", "--id=@q", "create", "QoS", "type=linux-htb"),
        *("--", "set", "Port", "uplink", "qos=@q"),
    )
    before = dump(ovs)
    adopted = {
        "theirs": PortConfig("theirs", create=False, noop_qos=True),
        "uplink": PortConfig("uplink", noop_qos=True),
        "absent": PortConfig("absent", create=False, noop_qos=True),
    }
    wait_until(lambda: (switch.run(), switch.ports("br-weir").keys() >= {"theirs", "uplink"})[1], "news of the bridge")
    config = config_of(ovs, "v1")
    put(switch, replace(config, ports={**config.ports, **adopted}))
    ports = switch.ports("br-weir")
    assert {name: (port.owner, port.iface_id, port.noop_qos) for name, port in ports.items()} == {
        "theirs": (None, "vm1", True),
        "uplink": (None, None, True),
        "v1": ("h1", "vif-v1", True),
    }
    assert switch.bridge("br-weir").owner is None
    assert "fail_mode           : secure" in dump(ovs)
    put(switch, replace(config, ports={"theirs": adopted["theirs"]}))
    assert switch.ports("br-weir")["uplink"].noop_qos is False
    switch.await_applied(switch.remove("br-weir", "h1"), 20)
    assert dump(ovs) == before
    next_cfg = ovs.vsctl("get", "Open_vSwitch", ".", "next_cfg")
    switch.remove("br-weir", "h1")
    assert ovs.vsctl("get", "Open_vSwitch", ".", "next_cfg") == next_cfg


def test_the_controller_of_an_adopted_bridge_stays(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    ovs.vsctl("add-br", "br-weir", "--", "set", "bridge", "br-weir", "datapath_type=netdev", "fail_mode=secure")
    ovs.vsctl("set-controller", "br-weir", "tcp:127.0.0.1:9999")
    ovs.ofctl("add-flow", "br-weir", FLOW)
    wait_until(lambda: (switch.run(), switch.bridge("br-weir"))[1], "news of the bridge")
    put(switch, config_of(ovs, "v1"))
    assert switch.bridge("br-weir").controllers == ("tcp:127.0.0.1:9999",)
    switch.await_applied(switch.remove("br-weir", "h1"), 20)
    assert switch.bridge("br-weir").controllers == ("tcp:127.0.0.1:9999",)
    assert "cookie=0xabc" in ovs.ofctl("dump-flows", "br-weir")


def test_removing_leaves_nothing_of_ours(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    before = dump(ovs)
    put(switch, config_of(ovs, "v1"))
    switch.await_applied(switch.remove("br-weir", "h1"), 20)
    assert dump(ovs) == before
    assert switch.bridge("br-weir") is None and switch.ports("br-weir") == {}


def test_a_port_on_another_bridge_is_refused(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    config = config_of(ovs, "v1")
    ovs.vsctl(
        "add-br", "other", "--", "set", "bridge", "other", "datapath_type=netdev", "--", "add-port", "other", "v1"
    )
    wait_until(lambda: (switch.run(), switch.bridge("other"))[1], "news of the other bridge")
    with pytest.raises(Refused, match="port v1 is on bridge other already"):
        switch.apply(config)
    assert switch.bridge("br-weir") is None
    assert "port v1 is on bridge other already" in switch.elsewhere("br-weir")["v1"]
    assert "v1" not in switch.elsewhere("other")


def test_it_says_so_when_the_switch_does_not_act(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    ovs.stop_vswitchd()
    cfg = switch.apply(config_of(ovs, "v1"))
    assert not switch.applied(cfg)
    with pytest.raises(NotApplied, match="ovs-vswitchd has not acted"):
        switch.await_applied(cfg, 0.2)
    ovs.start_vswitchd()
    switch.await_applied(cfg, 20)
    assert switch.ports("br-weir")["v1"].ofport == 1


def test_it_goes_on_when_the_database_server_restarts(ovs: PrivateOvs, switch: OpenVSwitch) -> None:
    config = config_of(ovs, "v1")
    put(switch, config)
    ovs.stop_server()
    ovs.start_server()
    put(switch, replace(config, ports={}))
    assert "v1" not in ovs.vsctl("list-ports", "br-weir")
