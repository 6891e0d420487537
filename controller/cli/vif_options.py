"""The options of `weir vif create` and `set`, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from controller.client.places import Place

SegmentOption = Annotated[
    str | None, typer.Option("--segment", metavar="S", help="The segment to join; needed where there are several.")
]
InstanceOption = Annotated[
    str | None, typer.Option("--instance", metavar="ID", help="Whose interface it is, in your words.")
]
NetnsOption = Annotated[
    str | None, typer.Option("--netns", metavar="N", help="Put it into this network namespace (a name or a path).")
]
PidOption = Annotated[int | None, typer.Option("--pid", metavar="P", help="Put it into the namespace of this process.")]
ContainerOption = Annotated[
    str | None,
    typer.Option("--container", metavar="ID", help="Put it into this container (podman, Docker, containerd)."),
]
RuntimeOption = Annotated[
    str | None, typer.Option("--runtime", metavar="R", help="Whose container it is; else whoever knows it.")
]
IpOption = Annotated[
    list[str] | None, typer.Option("--ip", metavar="A", help="An address (repeatable); else one of each subnet.")
]
EgressOption = Annotated[
    str | None,
    typer.Option(
        "--egress", metavar="NUMBERS", help="Its own, within its policy's: 'guarantee=10 mbit,limit=50 mbit'."
    ),
]
IngressOption = Annotated[
    str | None, typer.Option("--ingress", metavar="NUMBERS", help="Likewise, of what reaches it.")
]

OwnerOption = Annotated[str | None, typer.Option("--owner", metavar="USER", help="tap: who may open it.")]
QueuesOption = Annotated[str | None, typer.Option("--queues", metavar="N", help="tap, vhost-user: pairs of queues.")]
DescriptorsOption = Annotated[
    str | None, typer.Option("--descriptors", metavar="N", help="vhost-user: length of a queue: 256, 512 or 1024.")
]
SocketModeOption = Annotated[
    str | None, typer.Option("--socket-mode", metavar="MODE", help="vhost-user: of its socket. [default: 660]")
]
SocketGroupOption = Annotated[
    str | None, typer.Option("--socket-group", metavar="GROUP", help="vhost-user: of its socket.")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="PF", help="vf: of this card, by name or PCI address; else of any.")
]
VfOption = Annotated[str | None, typer.Option("--vf", metavar="INDEX", help="vf: this one; else a free one.")]
DriverOption = Annotated[
    str | None, typer.Option("--driver", metavar="netdev|vfio-pci", help="vf: hand over a link, or a PCI device.")
]
TrustOption = Annotated[bool | None, typer.Option("--trust/--no-trust", help="vf: it may change its MAC.")]
SpoofCheckOption = Annotated[
    bool | None, typer.Option("--spoof-check/--no-spoof-check", help="vf: the card drops what it forges.")
]
VlanOption = Annotated[str | None, typer.Option("--vlan", metavar="N", help="vf: tagged by the card.")]
RepresentorOption = Annotated[
    bool | None,
    typer.Option(
        "--with-representor/--without-representor",
        help="vf: used though the card gives the switch no port for it, so that no policy holds.",
    ),
]


@dataclass(frozen=True, slots=True)
class KindOptions:
    """Where it goes and what its kind may be told, as `create` and `set` both take it."""

    netns: NetnsOption = None
    pid: PidOption = None
    container: ContainerOption = None
    runtime: RuntimeOption = None
    owner: OwnerOption = None
    queues: QueuesOption = None
    descriptors: DescriptorsOption = None
    socket_mode: SocketModeOption = None
    socket_group: SocketGroupOption = None
    device: DeviceOption = None
    vf: VfOption = None
    driver: DriverOption = None
    trust: TrustOption = None
    spoof_check: SpoofCheckOption = None
    vlan: VlanOption = None
    representor: RepresentorOption = None

    @property
    def place(self) -> Place:
        from controller.client.places import Place

        return Place(self.netns, self.pid, self.container, self.runtime)

    @property
    def texts(self) -> dict[str, str | None]:
        names = ("owner", "queues", "descriptors", "socket_mode", "socket_group", "device", "vf", "vlan")
        return {name: getattr(self, name) for name in names}

    @property
    def flags(self) -> dict[str, bool | None]:
        return {name: getattr(self, name) for name in ("trust", "spoof_check", "representor")}


def takes_kind_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter `of_kind: KindOptions` stands for an option each of it, where it stands."""

    @wraps(command)
    def called(**given: Any) -> None:
        own = {name: given.pop(name) for name in [*given] if name in options}
        command(**given, of_kind=KindOptions(**own))

    options = inspect.signature(KindOptions, eval_str=True).parameters
    parameters = list[inspect.Parameter]()
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if parameter.name == "of_kind":
            parameters += [one.replace(kind=parameter.kind) for one in options.values()]
        else:
            parameters.append(parameter)
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # which Typer reads
    return called
