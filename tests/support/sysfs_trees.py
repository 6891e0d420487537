"""Trees like /sys in a directory, from listings: `PATH = TEXT`, `PATH -> TARGET` (of PATH's directory), `PATH/`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def plant(root: Path, *listings: str) -> Path:
    """Makes what the listings say. Returns `root`."""
    for line in (line.strip() for listing in listings for line in listing.splitlines()):
        if not line:
            continue
        name, arrow, target = line.partition(" -> ")
        if arrow:
            _ready(root / name).symlink_to(target)
        elif line.endswith("/"):
            (root / line).mkdir(parents=True, exist_ok=True)
        else:
            name, _, text = line.partition(" = ")
            _ready(root / name).write_text(text + "\n")
    return root


def _ready(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def function(address: str, driver: str | None = None, *, total: int = 0, virtual: Iterable[str] = ()) -> str:
    """A function of a NIC. total: VFs that it can have; virtual: the addresses of those that there are."""
    virtual = list(virtual)
    here = f"bus/pci/devices/{address}"
    lines = [f"{here}/class = 0x020000", f"{here}/driver_override = (null)"]
    if driver is not None:
        lines += [f"bus/pci/drivers/{driver}/", f"{here}/driver -> ../../drivers/{driver}"]
    if total:
        lines += [f"{here}/net/", f"{here}/sriov_totalvfs = {total}", f"{here}/sriov_numvfs = {len(virtual)}"]
        lines += [f"{here}/virtfn{index} -> ../{one}" for index, one in enumerate(virtual)]
    return "\n".join(lines)


def device(name: str, parent: str, *, up: bool = False, switch: str = "", port: str = "", master: str = "") -> str:
    """A network device of a function (its address, or PATH below bus/ of another device)."""
    owner = parent if "/" in parent else f"pci/devices/{parent}"
    here = f"class/net/{name}"
    lines = [
        f"{here}/flags = {'0x1003' if up else '0x1002'}", f"{here}/address = 02:00:00:00:00:01", f"{here}/mtu = 1500",
        f"{here}/device -> ../../../bus/{owner}", f"bus/{owner}/net/{name}/",
    ]  # fmt: skip
    lines += [f"{here}/phys_switch_id = {switch}"] if switch else []
    lines += [f"{here}/phys_port_name = {port}"] if port else []
    lines += [f"{here}/master -> ../{master}"] if master else []
    return "\n".join(lines)


PF0, PF1 = "0000:03:00.0", "0000:03:00.1"
SWITCH = "9c2bb40003a1420c"
# as the drivers' sources have it: the representors are devices of the physical function, both of which share the switch
MLX5 = "\n".join((
    function(PF0, "mlx5_core", total=8, virtual=("0000:03:00.2", "0000:03:00.3")),
    function(PF1, "mlx5_core", total=8, virtual=("0000:03:02.2",)),
    *(function(address, "mlx5_core") for address in ("0000:03:00.2", "0000:03:00.3", "0000:03:02.2")),
    device("enp3s0f0np0", PF0, up=True, switch=SWITCH, port="p0"),
    device("enp3s0f1np1", PF1, up=True, switch=SWITCH, port="p1"),
    device("enp3s0f0npf0vf0", PF0, switch=SWITCH, port="pf0vf0"),
    device("enp3s0f0npf0vf1", PF0, switch=SWITCH, port="pf0vf1"),
    device("enp3s0f1npf1vf0", PF1, switch=SWITCH, port="pf1vf0"),
    device("enp3s0f0npf0sf88", PF0, switch=SWITCH, port="pf0sf88"),
    device("enp3s0f0v0", "0000:03:00.2"),
    device("enp3s0f0v1", "0000:03:00.3"),
    device("enp3s0f1v0", "0000:03:02.2"),
))  # fmt: skip
IGB = "\n".join((
    function("0000:01:00.0", "igb", total=7, virtual=("0000:01:10.0", "0000:01:10.2")),
    function("0000:01:10.0", "igbvf"),
    function("0000:01:10.2", "igbvf"),
    device("eth0", "0000:01:00.0", up=True),
    device("eth2", "0000:01:10.0"),
    device("eth3", "0000:01:10.2"),
))  # fmt: skip
# as a guest of the VM lab shows it
NETDEVSIM = "\n".join((
    "bus/netdevsim/devices/netdevsim7/sriov_numvfs = 2",
    device("eni7np1", "netdevsim/devices/netdevsim7", switch="1f2e3d4c", port="p1"),
    device("eth0", "netdevsim/devices/netdevsim7", switch="1f2e3d4c", port="pf0vf0"),
    device("eth1", "netdevsim/devices/netdevsim7", switch="1f2e3d4c", port="pf0vf1"),
))  # fmt: skip
