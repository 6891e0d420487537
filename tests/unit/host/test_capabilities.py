"""What a host says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.config import StateDir
from controller.host.capabilities import LOOK_S, TRY_S, Capabilities
from controller.host.settings import AgentConfig
from ovsdb.switch import SwitchFacts
from tests.support.sysfs_trees import IGB, NETDEVSIM, function, plant

CONFIG = AgentConfig("h1", "br-weir", StateDir(Path("/s")), Path("/r"), "weir-1", datapath_type="system")


def no_answer(rundir: Path, bridge: str) -> dict[str, str]:
    return {}


@pytest.mark.parametrize(
    ("types", "dpdk"),
    [(None, None), (("tap",), "false"), (("tap", "dpdkvhostuserclient"), "true")],
)
def test_what_the_switch_makes_is_known_once_it_has_said(
    tmp_path: Path, types: tuple[str, ...] | None, dpdk: str | None
) -> None:
    facts = None if types is None else SwitchFacts(frozenset(types), "3.1.0", offloads=True)
    found = Capabilities(CONFIG, tmp_path, lambda: {"htb": "true"}, no_answer).found(facts, 0.0)
    known = {"datapath": "system", "virtual_functions": "false", "htb": "true"}
    if dpdk is None:
        assert found == known
        return
    policers = "true" if dpdk == "true" else "no: Open vSwitch runs without DPDK"
    assert found == known | {
        "dpdk": dpdk,
        "egress_policer": policers,
        "trtcm_policer": policers,
        "offload": "true",
        "ovs_version": "3.1.0",
    }


def test_a_userspace_datapath_leaves_nothing_to_nics(tmp_path: Path) -> None:
    config = replace(CONFIG, datapath_type="netdev")
    found = Capabilities(config, tmp_path, dict, no_answer).found(SwitchFacts(frozenset(), offloads=True), 0.0)
    assert found["offload"].startswith("no: ") and "ovs_version" not in found


def test_the_bridge_is_asked_once_there_is_one_until_it_answers_and_then_now_and_then(tmp_path: Path) -> None:
    asked, answers = [], iter([{}, {"meters": "true"}, {}, {"meters": "no: they went"}])

    def ask(rundir: Path, bridge: str) -> dict[str, str]:
        asked.append((rundir, bridge))
        return next(answers)

    capabilities, facts = Capabilities(CONFIG, tmp_path, dict, ask), SwitchFacts(frozenset())
    assert "meters" not in capabilities.found(None, 0.0) and asked == []
    assert "meters" not in capabilities.found(facts, 0.0) and asked == [(Path("/r"), "br-weir")]
    assert "meters" not in capabilities.found(facts, LOOK_S / 2)
    assert capabilities.found(facts, LOOK_S)["meters"] == "true"
    assert capabilities.found(facts, LOOK_S + TRY_S)["meters"] == "true" and len(asked) == 3  # it does not answer now
    assert capabilities.found(facts, LOOK_S + 2 * TRY_S)["meters"] == "no: they went"


def test_what_the_switch_said_holds_while_it_acts_on_a_change_and_says_nothing(tmp_path: Path) -> None:
    capabilities = Capabilities(CONFIG, tmp_path, dict, no_answer)
    said = capabilities.found(SwitchFacts(frozenset({"dpdkvhostuserclient"}), "3.1.0", offloads=True), 0.0)
    assert said["dpdk"] == said["egress_policer"] == said["offload"] == "true"
    assert capabilities.found(None, 1.0) == said
    assert capabilities.found(SwitchFacts(frozenset(), "3.1.0"), 2.0)["dpdk"] == "false"


def test_a_kernel_that_cannot_be_tried_for_once_has_what_it_had(tmp_path: Path) -> None:
    tried = iter([{"red": "true"}, {}, {"red": "no: it went"}])
    capabilities = Capabilities(CONFIG, tmp_path, lambda: next(tried), no_answer)
    words = [capabilities.found(None, number * TRY_S).get("red") for number in range(3)]
    assert words == ["true", "true", "no: it went"]


def test_the_kernel_is_tried_again_for_modules_that_came(tmp_path: Path) -> None:
    tried = iter([{"red": "no: it has none"}, {"red": "true"}])
    capabilities = Capabilities(CONFIG, tmp_path, lambda: next(tried))
    assert capabilities.found(None, 5.0)["red"] == capabilities.found(None, 4.0 + TRY_S)["red"] == "no: it has none"
    assert capabilities.found(None, 5.0 + TRY_S)["red"] == "true"


@pytest.mark.parametrize(("said", "known"), [("10000\n", {"uplink_mbps/eth1": "10000"}), ("-1\n", {}), (None, {})])
def test_uplinks_are_as_fast_as_their_nics_say(tmp_path: Path, said: str | None, known: dict[str, str]) -> None:
    if said is not None:
        device = tmp_path / "class" / "net" / "enp1s0"
        device.mkdir(parents=True)
        (device / "speed").write_text(said)
    found = Capabilities(replace(CONFIG, uplinks={"eth1": "enp1s0"}), tmp_path, dict).found(None, 0.0)
    assert {name: value for name, value in found.items() if "mbps" in name} == known


@pytest.mark.parametrize("nics", [IGB, NETDEVSIM])
def test_a_nic_that_can_have_virtual_functions_is_seen_when_it_comes(tmp_path: Path, nics: str) -> None:
    capabilities = Capabilities(CONFIG, tmp_path, dict)
    assert capabilities.found(None, 5.0)["virtual_functions"] == "false"
    plant(tmp_path, function("0000:09:00.0", total=8))  # its network devices are in another namespace
    assert Capabilities(CONFIG, tmp_path, dict).found(None, 5.0)["virtual_functions"] == "false"
    plant(tmp_path, nics)
    assert capabilities.found(None, 5.0 + LOOK_S / 2)["virtual_functions"] == "false"
    assert capabilities.found(None, 5.0 + LOOK_S)["virtual_functions"] == "true"
