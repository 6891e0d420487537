"""What is reported of a VIF, pass after pass."""

from __future__ import annotations

from dataclasses import replace

from controller.host.desired import Limits
from controller.host.kinds.kind import Made
from controller.host.vif_states import PATIENCE_S, QUIET_S, Reporter, VifInPass, settled
from ovsdb.rows import UNCLAIMED, VifStatus, VirtualInterface
from ovsdb.switch import PortConfig, PortStatus

VIF = VirtualInterface("a", 7, "p", "s", "veth", "02:00:00:00:00:07", (), chassis="h1")
IN_PASS = VifInPass(VIF, Made(PortConfig("wv7")), Limits())
PORT = PortStatus("wv7", ofport=3)


class Report:
    """A reporter, and what it says of one VIF."""

    def __init__(self, queues: bool = True) -> None:
        self.reporter = Reporter("h1")
        self.queues = queues

    def __call__(
        self, one: VifInPass, port: PortStatus | None, now_s: float = 0, fault: str | None = None
    ) -> VifStatus:
        if self.queues:
            self.reporter.queues_made({"a"})
        ports = {port.name: port} if port else {}
        return self.reporter.statuses({"a": one}, ports, {7: fault} if fault else {}, now_s)["a"]


def test_ready_needs_a_numbered_port_and_its_queues() -> None:
    assert Report()(IN_PASS, PORT) == VifStatus("ready", None, "wv7", 3)
    assert Report()(IN_PASS, None) == VifStatus("pending", None, "wv7")
    assert Report(queues=False)(IN_PASS, PORT) == VifStatus("pending", None, "wv7", 3)


def test_faults_are_errors_that_keep_a_working_port() -> None:
    assert Report()(replace(IN_PASS, fault="bad"), PORT) == VifStatus("error", "bad", "wv7", 3)
    assert Report()(IN_PASS, PORT, fault="no htb") == VifStatus("error", "no htb", "wv7", 3)
    assert Report()(VifInPass(VIF, Made(), fault="no namespace"), None) == VifStatus("error", "no namespace")


def test_what_open_vswitch_says_is_passed_on_and_silence_is_an_error_after_a_while() -> None:
    said = Report()(IN_PASS, PortStatus("wv7", error="could not open network device"))
    assert said.state == "error" and "could not open network device" in (said.error or "")
    report = Report()
    assert report(IN_PASS, None, 0).state == "pending"
    assert report(IN_PASS, None, PATIENCE_S).state == "pending"
    late = report(IN_PASS, None, PATIENCE_S + 1)
    assert late.state == "error" and "ovs-vswitchd" in (late.error or "")
    assert report(IN_PASS, PORT, 100).state == "ready"
    assert report(IN_PASS, None, 101).state == "pending"


def test_a_port_vif_waits_quietly_first_and_is_claimed_and_given_up() -> None:
    unclaimed = replace(VIF, kind="port", chassis=None)
    waiting, report = VifInPass(unclaimed, Made(waiting="waiting for a port")), Report()
    assert report(waiting, None, 0) == VifStatus("pending")
    assert report(waiting, None, QUIET_S) == VifStatus("pending", "waiting for a port")
    assert (
        report(VifInPass(unclaimed, Made(PortConfig("tap1")), Limits()), replace(PORT, name="tap1"), 2).chassis == "h1"
    )
    claimed = replace(unclaimed, chassis="h1")
    assert report(VifInPass(claimed, Made(waiting="waiting")), None, 3).chassis == UNCLAIMED


def test_one_that_waits_for_its_instance_keeps_its_port_its_host_and_what_was_found() -> None:
    made = Made(PortConfig("vu7"), details={"socket": "/run/vu7"}, waiting="waiting for QEMU")
    waiting = VifInPass(VIF, made, Limits())
    said = Report()(waiting, replace(PORT, name="vu7"), QUIET_S)
    assert said == VifStatus("pending", None, "vu7", 3, None, {"socket": "/run/vu7"})
    assert settled({"a": waiting}, {"a": said})
    wrong = replace(waiting, fault="its policy is gone")
    assert Report()(wrong, replace(PORT, name="vu7")).state == "error"


def test_a_change_is_settled_when_nothing_is_on_its_way() -> None:
    waiting = VifInPass(replace(VIF, kind="port"), Made(waiting="waiting"))
    assert settled({"a": waiting}, {"a": VifStatus("pending")})
    assert not settled({"a": IN_PASS}, {"a": VifStatus("pending")})
    assert settled({"a": IN_PASS}, {"a": VifStatus("error", "bad")})
    assert settled({}, {})
