"""Which virtual function each VIF has, and what that was like before: on disk before anything is done to it.

The Weir DB tells it as well, but only as long as the VIF is there: what is given back belongs to one that is gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.host.errors import HostError
from controller.host.sriov.functions import VfSettings

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Former:
    """How a VF was found. driver None: bound to none. device: its network device; None: it had none.

    port_up, port_offloads: whether its representor was up, and what was on there that Weir turns off.
    """

    settings: VfSettings
    driver: str | None = None
    device: str | None = None
    mac: str = ""
    mtu: int = 0
    port_up: bool = False
    port_offloads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """A VF that a VIF has. physical: address of the NIC. place: where its network device was put last; "": nowhere.

    boot: which run of the machine it was in: `former` is true of that one only.
    """

    vif: str
    physical: str
    index: int
    address: str | None
    former: Former
    boot: str
    place: str = ""

    @property
    def key(self) -> tuple[str, int]:
        return self.physical, self.index


class Ledger:
    """The file of one chassis. It is read once: nobody else writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: dict[str, Taken] | None = None

    def taken(self) -> Mapping[str, Taken]:
        """By VIF. Raises HostError when the file cannot be read: then nothing is known to be free."""
        if self._taken is None:
            try:
                rows = json.loads(self._path.read_text())
                self._taken = {row["vif"]: _taken(row) for row in rows}
            except FileNotFoundError:
                self._taken = {}
            except (OSError, ValueError, TypeError, KeyError) as fault:
                raise HostError(
                    f"{self._path}: what virtual functions VIFs have cannot be read ({fault})",
                    "Restore the file; or remove it, and give the functions back by hand (ip link set PF vf N ...)",
                ) from fault
        return self._taken

    def put(self, taken: Taken) -> None:
        """On disk when it returns. Raises HostError."""
        if self.taken().get(taken.vif) != taken:
            self._write({**self.taken(), taken.vif: taken})

    def drop(self, vif: str) -> None:
        """Raises HostError."""
        if vif in self.taken():
            self._write({name: one for name, one in self.taken().items() if name != vif})

    def _write(self, taken: dict[str, Taken]) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("w") as file:
                json.dump([asdict(one) for one in taken.values()], file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as fault:
            raise HostError(
                f"{self._path}: cannot be written ({fault.strerror}), and no virtual function is taken unrecorded",
                "Make room for it, or make it writable; the agent tries again by itself",
            ) from fault
        self._taken = taken


def boot_id() -> str:
    return _BOOT_ID.read_text().strip()


def _taken(row: dict[str, Any]) -> Taken:
    return Taken(**{**row, "former": _former(row["former"])})


def _former(row: dict[str, Any]) -> Former:
    settings, offloads = VfSettings(**row["settings"]), tuple(row["port_offloads"])
    return Former(**{**row, "settings": settings, "port_offloads": offloads})
