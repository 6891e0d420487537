"""NICs read from trees like sysfs: which port stands for which VF, and which VF may be taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.host.errors import HostError
from controller.host.sriov.choice import InUse, Wish, choose
from controller.host.sriov.functions import Inventory, asked_for, is_pci_address, is_switchdev, representor
from controller.host.sriov.tree import read
from tests.support.sysfs_trees import IGB, MLX5, NETDEVSIM, PF0, PF1, SWITCH, device, function, plant

NOTHING_ELSE = InUse()


def taken_from(inventory: Inventory, wish: Wish, used: InUse = NOTHING_ELSE) -> tuple[str, int]:
    chosen = choose(inventory, asked_for(inventory, wish.device), wish, used)
    return chosen.physical.address, chosen.function.index


def refusal(inventory: Inventory, wish: Wish, used: InUse = NOTHING_ELSE) -> str:
    with pytest.raises(HostError) as fault:
        taken_from(inventory, wish, used)
    return str(fault.value)


def test_two_functions_of_one_switch_are_told_apart(tmp_path: Path) -> None:
    nics = read(plant(tmp_path, MLX5))
    first, second = nics.physical[PF0], nics.physical[PF1]
    assert (first.devices, second.devices) == (("enp3s0f0np0",), ("enp3s0f1np1",))
    assert first.function(1).address == "0000:03:00.3"  # type: ignore[union-attr]
    assert representor(nics, first, 0).name == "enp3s0f0npf0vf0"
    assert representor(nics, first, 1).name == "enp3s0f0npf0vf1"
    assert representor(nics, second, 0).name == "enp3s0f1npf1vf0"


def test_a_nic_whose_devices_are_in_another_namespace_is_none(tmp_path: Path) -> None:
    nics = read(plant(tmp_path, function(PF0, "ixgbe", total=8, virtual=("0000:03:00.2",))))
    for device_ in (None, PF0):
        with pytest.raises(HostError, match="use weir up --ovs system"):
            asked_for(nics, device_)


def test_a_subfunction_is_no_representor(tmp_path: Path) -> None:
    nics = read(plant(tmp_path, MLX5))
    with pytest.raises(HostError, match="VF 88 of enp3s0f0np0: no representor among"):
        representor(nics, nics.physical[PF0], 88)


@pytest.mark.parametrize("form", ["pf0vf{}", "c1pf0vf{}", "pf0vfr{}", "p0pf0vf{}", "vf{}", "{}"])
def test_every_form_of_name_leads_to_the_vf(tmp_path: Path, form: str) -> None:
    nic = function(PF0, "any", total=4, virtual=("0000:03:00.2", "0000:03:00.3"))
    ports = [device(f"rep{index}", PF0, switch=SWITCH, port=form.format(index)) for index in (0, 1)]
    nics = read(plant(tmp_path, nic, device("up0", PF0, switch=SWITCH, port="p0"), *ports))
    assert [representor(nics, nics.physical[PF0], index).name for index in (0, 1)] == ["rep0", "rep1"]


def test_representors_without_a_parent_are_known_by_switch_and_number(tmp_path: Path) -> None:
    """The case of drivers that do not say whose device a representor is."""
    virtual = {PF0: "0000:03:00.2", PF1: "0000:03:00.3"}
    nics = [function(address, "bnxt_en", total=4, virtual=(virtual[address],)) for address in virtual]
    uplinks = [device(f"up{address[-1]}", address, switch=SWITCH, port=f"p{address[-1]}") for address in virtual]
    root = plant(tmp_path, *nics, *uplinks)
    for number in (0, 1):
        here = f"class/net/rep{number}"
        plant(root, f"{here}/phys_switch_id = {SWITCH}", f"{here}/phys_port_name = pf{number}vf0")
    found = read(root)
    assert [representor(found, found.physical[address], 0).name for address in virtual] == ["rep0", "rep1"]


def test_a_vf_of_another_host_is_not_ours(tmp_path: Path) -> None:
    nics = read(plant(tmp_path, MLX5, device("host1", PF0, switch=SWITCH, port="c1pf0vf1")))
    assert representor(nics, nics.physical[PF0], 1).name == "enp3s0f0npf0vf1"
    both = plant(
        tmp_path / "two",
        function(PF0, "any", total=4, virtual=("0000:03:00.2",)),
        device("up0", PF0, switch=SWITCH, port="p0"),
        device("r1", PF0, switch=SWITCH, port="c1pf0vf0"),
        device("r2", PF0, switch=SWITCH, port="c2pf0vf0"),
    )
    with pytest.raises(HostError):
        representor(read(both), read(both).physical[PF0], 0)


def test_another_nic_with_the_same_names_is_another_nic(tmp_path: Path) -> None:
    other = (
        function("0000:05:00.0", "mlx5_core", total=2, virtual=("0000:05:00.2",)),
        device("enp5s0np0", "0000:05:00.0", switch="other", port="p0"),
        device("enp5s0npf0vf0", "0000:05:00.0", switch="other", port="pf0vf0"),
    )
    nics = read(plant(tmp_path, MLX5, *other))
    assert representor(nics, nics.physical["0000:05:00.0"], 0).name == "enp5s0npf0vf0"
    assert representor(nics, nics.physical[PF0], 0).name == "enp3s0f0npf0vf0"


def test_a_nic_in_legacy_mode_is_told_what_to_do(tmp_path: Path) -> None:
    nics = read(plant(tmp_path, IGB))
    assert not is_switchdev(nics, nics.physical["0000:01:00.0"])
    said = refusal(nics, Wish("eth0"))
    assert "NIC eth0 is in legacy mode" in said
    assert "devlink dev eswitch set pci/0000:01:00.0 mode switchdev" in said
    assert taken_from(nics, Wish("eth0", needs_representor=False)) == ("0000:01:00.0", 0)


def test_a_simulated_switch_has_representors_alone(tmp_path: Path) -> None:
    nics = read(plant(tmp_path, NETDEVSIM))
    nic = nics.physical["netdevsim7"]
    assert (nic.device, nic.devlink, [one.address for one in nic.functions]) == (
        "eni7np1", "netdevsim/netdevsim7", [None, None]
    )  # fmt: skip
    assert representor(nics, nic, 1).name == "eth1"


def test_the_first_free_one_is_taken(tmp_path: Path) -> None:
    nics = read(plant(tmp_path, MLX5))
    assert taken_from(nics, Wish()) == (PF0, 0)
    assert taken_from(nics, Wish(), InUse({(PF0, 0): "a"})) == (PF0, 1)
    assert taken_from(nics, Wish(), InUse({(PF0, 0): "a", (PF0, 1): "b"})) == (PF1, 0)
    assert taken_from(nics, Wish(PF1)) == taken_from(nics, Wish("enp3s0f1np1")) == (PF1, 0)
    assert taken_from(nics, Wish(PF0, 1)) == (PF0, 1)


@pytest.mark.parametrize(
    ("driver", "device_of_it", "used", "why"),
    [
        ("iavf", device("v", "0000:03:00.2", up=True), InUse(), "v is up"),
        ("iavf", device("v", "0000:03:00.2", master="br0"), InUse(), "v is a port of br0"),
        ("iavf", device("v", "0000:03:00.2"), InUse(addressed={"v"}), "v has addresses"),
        ("iavf", "", InUse(), "bound to iavf, without a network device in the agent's namespace"),
        ("vfio-pci", "", InUse(), "bound to vfio-pci"),
        ("iavf", device("v", "0000:03:00.2"), InUse(ports={"rep0"}), "its representor rep0 is a port"),
        ("iavf", device("v", "0000:03:00.2"), InUse({(PF0, 0): "web-1"}), "is VIF web-1's"),
    ],
)
def test_one_that_somebody_uses_is_not_free(
    tmp_path: Path, driver: str, device_of_it: str, used: InUse, why: str
) -> None:
    nics = read(plant(
        tmp_path,
        function(PF0, "ice", total=64, virtual=("0000:03:00.2",)),
        function("0000:03:00.2", driver),
        device("ens1", PF0, switch=SWITCH, port="p0"),
        device("rep0", PF0, switch=SWITCH, port="pf0vf0"),
        device_of_it,
    ))  # fmt: skip
    said = refusal(nics, Wish(), used)
    assert said.startswith("no virtual function is free (ens1 has 1 of at most 64): ens1/0 ")
    assert why in said
    assert f"echo 64 > /sys/bus/pci/devices/{PF0}/sriov_numvfs" in said


def test_one_without_a_driver_is_free(tmp_path: Path) -> None:
    nic = function(PF0, "igb", total=7, virtual=("0000:03:00.2",))
    nics = read(plant(tmp_path, nic, function("0000:03:00.2"), device("eth0", PF0)))
    assert taken_from(nics, Wish(needs_representor=False)) == (PF0, 0)


def test_a_nic_without_vfs_says_how_to_make_some(tmp_path: Path) -> None:
    nics = read(plant(tmp_path, function(PF0, "igb", total=7), device("eth0", PF0)))
    said = refusal(nics, Wish("eth0"))
    assert said == (
        "there is no virtual function (eth0 has 0 of at most 7). "
        f"Make some: echo 7 > /sys/bus/pci/devices/{PF0}/sriov_numvfs."
    )
    assert refusal(nics, Wish("eth0", 3)).startswith("VF 3 of eth0 does not exist (eth0 has 0 of at most 7)")


def test_what_is_no_nic_is_refused(tmp_path: Path) -> None:
    assert "eth9 is no NIC that can have virtual functions. There are: eth0" in refusal(
        read(plant(tmp_path, IGB)), Wish("eth9")
    )
    assert "no NIC that can have virtual functions" in refusal(read(tmp_path / "nothing"), Wish())


@pytest.mark.parametrize("text", ["../../etc", "0000:03:00.0/..", "0000:03:00.8", "0000:03:00", "", "0000:03:00.0\n"])
def test_what_is_no_pci_address_leads_nowhere(text: str) -> None:
    assert not is_pci_address(text)
