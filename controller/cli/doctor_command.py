"""weir doctor."""

from __future__ import annotations

from typing import Any

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, say


def doctor(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Say what each host can keep of a policy, and what of the policy in force it does not; exit status 1 then."""
    from controller import config
    from controller.cli import doctor_views
    from controller.cli.database import opened
    from controller.config import NoSystem
    from controller.intent import doctor as examination
    from policies.parser import parse

    try:
        config.load(config.state_dir(state_dir))
    except NoSystem as fault:
        body = _of_machine(str(fault))
    else:
        with opened(state_dir) as (_, database):
            snapshot = database.snapshot()
        body = {"running": True, **examination.report(parse(snapshot.files), snapshot)}
    document(body) if as_json else doctor_views.show(body)
    for remark in body["remarks"]:
        say(f"note: {remark}")
    for line in body["unkept"]:
        say(f"not kept: {line}")
    if body["unkept"]:
        raise typer.Exit(1)


def _of_machine(fault: str) -> dict[str, Any]:
    """Without a system: what this machine's kernel has. Raises SystemFault without privilege."""
    import platform

    from controller.host.probe import kernel
    from controller.intent import doctor as examination
    from controller.system import requirements
    from ovsdb.rows import Chassis

    requirements.check_privilege("weir doctor")
    here = Chassis(platform.node(), "", capabilities=kernel.abilities())
    remark = (
        f"no system runs, so this is what the kernel of this machine has, and nothing is known of a switch. {fault}"
    )
    return {"running": False, "chassis": {here.name: examination.of_host(here)}, "unkept": [], "remarks": [remark]}
