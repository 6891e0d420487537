"""What is on disk before a VF is touched, and what is refused before anything is written to sysfs."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from controller.host.errors import HostError
from controller.host.sriov import drivers, vf_devices
from controller.host.sriov.functions import VfSettings
from controller.host.sriov.ledger import Former, Ledger, Taken
from tests.support.sysfs_trees import IGB, function, plant

VF, NIC = "0000:01:10.0", "0000:01:00.0"
TAKEN = Taken(
    "web-1", NIC, 0, VF, Former(VfSettings(vlan=7, trust=True), "igbvf", "eth2", "02:00:00:00:00:09", 9000), "boot-1"
)


def test_a_ledger_is_read_by_the_next_agent(tmp_path: Path) -> None:
    path = tmp_path / "db" / "taken.json"
    Ledger(path).put(TAKEN)
    moved = replace(TAKEN, place="/run/netns/web")
    after = Ledger(path)
    assert after.taken() == {"web-1": TAKEN}
    after.put(moved)
    after.put(replace(TAKEN, vif="web-2", index=1))
    after.drop("web-2")
    assert Ledger(path).taken() == {"web-1": moved}
    after.drop("web-1")
    assert Ledger(path).taken() == {}


def test_a_ledger_that_cannot_be_read_frees_nothing(tmp_path: Path) -> None:
    path = tmp_path / "taken.json"
    path.write_text('[{"vif": "web-1"')
    with pytest.raises(HostError, match="cannot be read"):
        Ledger(path).taken()


def test_what_cannot_be_recorded_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "taken.json")
    with pytest.raises(HostError, match="no virtual function is taken unrecorded"):
        ledger._write({TAKEN.vif: TAKEN})


def without_vfio(root: Path) -> Path:
    return plant(root, IGB)


def with_vfio(root: Path, *others: str) -> Path:
    group = "kernel/iommu_groups/5/devices"
    plant(
        root, IGB, "bus/pci/drivers/vfio-pci/", f"bus/pci/devices/{VF}/iommu_group -> ../../../../kernel/iommu_groups/5"
    )
    for address in (VF, *others):
        plant(root, f"{group}/{address} -> ../../../../bus/pci/devices/{address}")
    return root


def test_vfio_needs_its_driver(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"there is no driver vfio-pci\. Load it: modprobe vfio-pci"):
        drivers.to_vfio(without_vfio(tmp_path), VF)


def test_vfio_needs_an_iommu(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="is behind no IOMMU"):
        drivers.to_vfio(plant(without_vfio(tmp_path), "bus/pci/drivers/vfio-pci/"), VF)


def test_a_group_that_the_host_uses_is_not_given_away(tmp_path: Path) -> None:
    root = plant(with_vfio(tmp_path, "0000:01:00.1"), function("0000:01:00.1", "nvme"))
    with pytest.raises(HostError, match=r"shares an IOMMU group with 0000:01:00\.1, which nvme uses"):
        drivers.to_vfio(root, VF)
    assert (root / "bus/pci/devices" / VF / "driver_override").read_text() == "(null)\n"


@pytest.mark.parametrize("address", ["../../../../etc", "0000:09:00.0", "0000:01:10.0/..", ""])
def test_nothing_but_a_device_is_written_to(tmp_path: Path, address: str) -> None:
    with pytest.raises(HostError, match="is not there"):
        drivers.to_vfio(with_vfio(tmp_path), address)
    with pytest.raises(HostError, match="is not there"):
        drivers.unbind(with_vfio(tmp_path / "again"), address)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_device_whose_group_cannot_be_opened_is_not_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Whatever the reason: the kernel would wait for its user, and the agent with it."""
    root = plant(tmp_path / "sys", "bus/pci/drivers/vfio-pci/unbind = -", "bus/pci/drivers_probe = -")
    plant(root, function(VF, "vfio-pci"), f"bus/pci/devices/{VF}/iommu_group -> ../../../../kernel/iommu_groups/5")
    monkeypatch.setattr(drivers, "GROUPS", tmp_path)
    if not is_there:
        drivers.from_vfio(root, VF, None)
        assert (root / "bus/pci/drivers/vfio-pci/unbind").read_text() == VF
        return
    with socket.socket(socket.AF_UNIX) as group:  # no process can open one
        group.bind(str(tmp_path / "5"))
        with pytest.raises(HostError, match=r"still in use by a process that has .*/5 open, as far as one can see"):
            drivers.from_vfio(root, VF, None)
    assert (root / "bus/pci/drivers/vfio-pci/unbind").read_text() == "-\n"


def test_a_network_device_that_its_driver_makes_anew_is_not_waited_for(tmp_path: Path) -> None:
    now_s = [100.0]
    root = plant(tmp_path, "bus/pci/drivers/igbvf/unbind = -", "bus/pci/drivers_probe = -", function(VF, "igbvf"))
    asked, renewal = root / "bus/pci/drivers/igbvf/unbind", vf_devices.Renewal(clock=lambda: now_s[0])
    for _ in range(3):
        with pytest.raises(vf_devices.NotYet, match="gets its network device anew"):
            renewal.device(root, VF, (None,))
        now_s[0] += 1.0
    assert asked.read_text() == VF
    asked.write_text("not again meanwhile")
    now_s[0] += 0.5
    with pytest.raises(HostError, match=r"has no network device .*\(driver: igbvf\)\. Load the driver"):
        renewal.device(root, VF, (None,))
    assert asked.read_text() == "not again meanwhile"
    with pytest.raises(vf_devices.NotYet):
        renewal.device(root, VF, (None,))
    assert asked.read_text() == VF
