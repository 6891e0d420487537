"""phys_port_name of a port of a NIC's switch: which of its functions the port stands for. Pure.

p0, p0s1            uplink (part 1 of a split one)          the kernel's devlink, nfp, mlx5
pf0, c1pf0          physical function                       devlink, nfp
pf0vf1, c1pf0vf1    virtual function (on controller 1)      devlink: mlx5, ice, nfp, bnxt, liquidio, netdevsim
pf0vfr1             the same                                ice before it had devlink ports
p0pf0vf1            the same                                sfc
vf1, 1              the same, of an unnamed function        mlx5 before Linux 4.19, and drivers built out of tree
pf0sf88, c1pf0sf88  subfunction, not a virtual function     devlink: mlx5, ice
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class PortKind(enum.Enum):
    UPLINK = "uplink"
    PF = "physical function"
    VF = "virtual function"
    SF = "subfunction"


@dataclass(frozen=True, slots=True)
class PortName:
    """number: of the port, VF or SF; of a PF that of the PF. pf: None where the name does not say whose VF it is.

    controller: of another host that the NIC serves as well; None: this host's own, or the name does not say.
    """

    kind: PortKind
    number: int
    pf: int | None = None
    controller: int | None = None


_FORMS = (
    (PortKind.UPLINK, re.compile(r"p(?P<number>\d+)(s\d+)?")),
    (PortKind.PF, re.compile(r"(c(?P<controller>\d+))?pf(?P<number>\d+)")),
    (PortKind.VF, re.compile(r"(p\d+)?(c(?P<controller>\d+))?pf(?P<pf>\d+)vfr?(?P<number>\d+)")),
    (PortKind.VF, re.compile(r"(vf)?(?P<number>\d+)")),
    (PortKind.SF, re.compile(r"(c(?P<controller>\d+))?pf(?P<pf>\d+)sf(?P<number>\d+)")),
)


def parse(text: str) -> PortName | None:
    """None: a form that no driver known here uses."""
    for kind, form in _FORMS:
        if found := form.fullmatch(text.strip().lower()):
            parts = {name: int(digits) for name, digits in found.groupdict().items() if digits is not None}
            if kind is PortKind.PF:
                parts["pf"] = parts["number"]
            return PortName(kind, **parts)
    return None
