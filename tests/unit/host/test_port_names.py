"""What the names of the ports of NICs' switches say."""

from __future__ import annotations

import pytest

from controller.host.sriov.port_names import PortKind, PortName, parse


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("p0", PortName(PortKind.UPLINK, 0)),
        ("p1s3", PortName(PortKind.UPLINK, 1)),
        ("pf0", PortName(PortKind.PF, 0, pf=0)),
        ("c1pf0", PortName(PortKind.PF, 0, pf=0, controller=1)),
        ("pf0vf1", PortName(PortKind.VF, 1, pf=0)),
        ("pf1vf127\n", PortName(PortKind.VF, 127, pf=1)),
        ("c1pf0vf1", PortName(PortKind.VF, 1, pf=0, controller=1)),
        ("pf2vfr14", PortName(PortKind.VF, 14, pf=2)),
        ("p0pf1vf3", PortName(PortKind.VF, 3, pf=1)),
        ("vf1", PortName(PortKind.VF, 1)),
        ("VF1", PortName(PortKind.VF, 1)),
        ("12", PortName(PortKind.VF, 12)),
        ("pf0sf88", PortName(PortKind.SF, 88, pf=0)),
        ("c2pf1sf3", PortName(PortKind.SF, 3, pf=1, controller=2)),
    ],
)
def test_forms_that_drivers_use(text: str, name: PortName) -> None:
    assert parse(text) == name


@pytest.mark.parametrize(
    "text", ["", "p", "pf", "pfvf1", "pf0vf", "0_1", "pf0vf1x", "xpf0vf1", "c1", "pf0vf-1", "swp1"]
)
def test_no_form_is_made_up(text: str) -> None:
    assert parse(text) is None
