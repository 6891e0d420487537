"""Whether a NIC passes packets of a virtual function by itself."""

from __future__ import annotations

import pytest

from controller.host import offloads
from controller.host.kinds.kind import PassView
from controller.host.kinds.vf import leaves_to_nic
from ovsdb.rows import Snapshot


@pytest.mark.parametrize(("asks", "able", "in_nic"), [(True, True, True), (False, True, False), (True, False, False)])
def test_it_does_where_open_vswitch_asks_for_it_and_the_device_can(
    monkeypatch: pytest.MonkeyPatch, asks: bool, able: bool, in_nic: bool
) -> None:
    monkeypatch.setattr(offloads, "is_active", lambda device, feature: able and feature == "hw-tc-offload")
    assert leaves_to_nic("p0vf1", PassView(Snapshot(), {}, (), 0.0, offloads=asks)) == in_nic
