"""weir up, down, status, agent."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, say

RaiseBuffersOption = Annotated[
    bool,
    typer.Option(
        "--raise-buffers",
        help="Give the sockets of the machine's own ovs-vswitchd larger buffers, as one of Weir's own has them; "
        "weir down puts them back.",
    ),
]
_YOUNG_OF_WHO_STAYS = 1_000  # objects before cycles are looked for, about as Python has it, see `main`


def up(
    state_dir: StateDirOption = None,
    ovs: Annotated[
        str, typer.Option(metavar="embedded|system", help="An Open vSwitch of its own, or the machine's.")
    ] = "embedded",
    datapath: Annotated[
        str,
        typer.Option(metavar="userspace|kernel|dpdk", help="Where OVS forwards: in its own process or in the kernel."),
    ] = "userspace",
    uplink: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=DEVICE]", help="A way out: a veth pair whose other end stays here, or a device."),
    ] = None,
    policy: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Policy to apply when all runs.")] = None,
    hugepages: Annotated[
        int, typer.Option(metavar="N", help="dpdk: add so many huge pages to the machine's until weir down.")
    ] = 0,
    dpdk_memory: Annotated[
        int | None, typer.Option(metavar="MB", help="dpdk: memory in huge pages, of each NUMA node. 512 unless given.")
    ] = None,
    pmd_cpu_mask: Annotated[
        str | None, typer.Option(metavar="MASK", help="dpdk: processors for packets alone. The last unless given.")
    ] = None,
    raise_buffers: RaiseBuffersOption = False,
    metrics: Annotated[
        str | None, typer.Option(metavar="[ADDRESS:]PORT", help="Serve metrics there to a Prometheus on this machine.")
    ] = None,
) -> None:
    """Start a whole system on this machine: Open vSwitch, Weir DB, controller and agent. Returns when it is ready."""
    from controller import config
    from controller.cli import starting
    from controller.system import requirements

    uplinks = requirements.parse_uplinks(uplink or [])
    request = requirements.Request(
        ovs,
        datapath,
        uplinks,
        requirements.loop_interval_s(),
        dpdk_memory,
        pmd_cpu_mask,
        hugepages,
        raise_buffers,
        metrics,
    )
    starting.bring_up(request, config.state_dir(state_dir), policy or [])


def down(state_dir: StateDirOption = None) -> None:
    """Stop the system and take away everything that it made; databases and logs stay in the state directory."""
    from controller import config
    from controller.system import directories, lifecycle, requirements

    directory = config.state_dir(state_dir)
    if not directory.path.is_dir():
        say(f"nothing runs in {directory.path}")
        return
    requirements.check_privilege("weir down")
    directories.check(directory)
    with lifecycle.exclusively(directory):
        if not lifecycle.left_over(directory):
            say(f"nothing runs in {directory.path}")
            return
        for note in lifecycle.stop(lifecycle.present(directory), directory):
            say(note)
    say(f"stopped. What was wanted stays in {directory.db}: the next weir up brings policy and VIFs back")


def status(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Say how the system is; exit status 1 when something is wrong."""
    from controller import config
    from controller.cli import status_report

    report = status_report.look(config.state_dir(state_dir))
    document(report) if as_json else status_report.show(report)
    for warning in report.get("warnings", []):
        say(f"warning: {warning}")
    for problem in report["problems"]:
        say(problem)
    if report["problems"]:
        raise typer.Exit(1)


def agent(
    bridge: Annotated[str, typer.Option(metavar="BRIDGE", help="The bridge to look after.")],
    chassis: Annotated[str, typer.Option(metavar="NAME", help="What this host is called in the Weir DB.")],
    uplink: Annotated[list[str] | None, typer.Option(metavar="NAME=DEVICE", help="An uplink and its device.")] = None,
    controller: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="Where the bridge finds its controller: unix:PATH or tcp:ADDRESS:PORT."),
    ] = None,
    datapath: Annotated[
        str, typer.Option(metavar="userspace|kernel|dpdk", help="That of the bridge, when the agent makes it.")
    ] = "userspace",
    raise_buffers: RaiseBuffersOption = False,
    state_dir: StateDirOption = None,
) -> None:
    """Run the agent of one bridge, in the foreground. `weir up` starts one; a Mininet topology wants one a switch."""
    import gc
    import logging

    from controller import config
    from controller.host import agent as host_agent
    from controller.system import requirements

    uplinks = requirements.parse_uplinks(uplink or [])
    requirements.check_agent(chassis, bridge, uplinks)
    requirements.check_datapath(datapath)
    directory = config.state_dir(state_dir)
    told = host_agent.AgentConfig(
        chassis=chassis,
        bridge=bridge,
        state=directory,
        ovs_rundir=requirements.system_rundir(),
        system=directory.namespace,
        uplinks={one.name: one.device or one.name for one in uplinks},
        controller=controller,
        interval_s=requirements.loop_interval_s(),
        datapath_type=config.DATAPATH_TYPES[datapath],
        raise_buffers=raise_buffers,
    )
    requirements.check_privilege("weir agent")
    gc.set_threshold(_YOUNG_OF_WHO_STAYS)
    logging.basicConfig(format="%(asctime)s|%(name)s|%(levelname)s|%(message)s")
    raise typer.Exit(host_agent.run(told))
