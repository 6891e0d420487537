"""The weir command. Each command imports what it needs when it is called, so that every one of them starts quickly."""

from __future__ import annotations

import os
import sys

import typer

from controller.cli import (
    explain_command,
    identity_commands,
    policy_commands,
    system_commands,
    trace_command,
    vif_commands,
)
from controller.cli.failures import status_of
from controller.cli.output import say

app = typer.Typer(
    name="weir",
    help="A virtual interface for every instance on Open vSwitch, and its policy made true.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # its boxes would wrap error lines
    pretty_exceptions_enable=False,
)
app.command()(system_commands.up)
app.command()(system_commands.down)
app.command()(system_commands.status)
app.command()(system_commands.agent)
app.command()(explain_command.explain)
app.command()(trace_command.trace)
app.add_typer(policy_commands.app, name="policy")
app.add_typer(identity_commands.app, name="identity")
app.add_typer(vif_commands.app, name="vif")


def main() -> None:
    """Exit status: 0 done; 1 failed, nothing half-done; 2 the input is wrong. `policy plan`: 3 there is a change.
    `trace`: 1 policy and switch disagree."""
    try:
        app(prog_name="weir")
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as fault:
        status = status_of(fault)
        if status is None:
            raise
        say(str(fault))
        sys.exit(status)


if __name__ == "__main__":
    main()
