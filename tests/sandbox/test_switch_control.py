"""Commands to a real vswitchd over its control socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.host.switch_control import Silent, answers, vswitchd
from tests.support.ovs_sandbox import PrivateOvs

DEADLINE_S = 20.0


def test_commands_are_answered_in_their_order_or_refused(tmp_path: Path) -> None:
    assert vswitchd(tmp_path) is None
    with PrivateOvs() as ovs:
        running = vswitchd(Path(ovs.rundir))
        assert running is not None and running.process.runs
        commands = [("version",), ("coverage/read-counter", "datapath_drop_meter"), ("list-commands",)]
        version, dropped, listed = answers(running.control, commands, DEADLINE_S)
        assert version.startswith("ovs-vswitchd") and int(dropped) == 0 and "dpif-netdev/pmd-stats-show" in listed
        with pytest.raises(Silent, match=r"nosuch: .*is not a valid command"):
            answers(running.control, [("version",), ("nosuch",)], DEADLINE_S)
    assert vswitchd(Path(ovs.rundir)) is None
    with pytest.raises(Silent):
        answers(running.control, [("version",)], DEADLINE_S)
