"""The tree of commands. Each is built when it is asked for, from a module that is imported then: of a command that
takes a tenth of a second, half would otherwise go into the options of those that nobody called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any, cast

from typer import Typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info, get_command_name
from typer.models import CommandInfo

HELP = "A virtual interface for every instance on Open vSwitch, and its policy made true."
ALONE = {
    "up": "system_commands",
    "down": "system_commands",
    "status": "system_commands",
    "doctor": "doctor_command",
    "top": "top_command",
    "metrics": "metrics_command",
    "agent": "system_commands",
    "events": "events_command",
    "explain": "explain_command",
    "trace": "trace_command",
}  # command -> module, whose function of this name it is
GROUPS = {
    "policy": "policy_commands",
    "identity": "identity_commands",
    "vif": "vif_commands",
    "loop": "loop_commands",
}  # command -> module, whose `app` holds those below it

Command = TyperCommand | TyperGroup
_Build = Callable[[], Command]


class Lazily(Mapping[str, Command]):
    """Commands by name."""

    def __init__(self, builds: Mapping[str, _Build]) -> None:
        self._builds = {name: cache(build) for name, build in builds.items()}

    def __getitem__(self, name: str) -> Command:
        return self._builds[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._builds)

    def __len__(self) -> int:
        return len(self._builds)


def tree() -> TyperGroup:
    alone = {name: partial(_alone, name, module) for name, module in ALONE.items()}
    return _group("weir", HELP, {**alone, **{name: partial(_below, name, module) for name, module in GROUPS.items()}})


def _alone(name: str, module: str) -> Command:
    return _command(CommandInfo(name, callback=getattr(_module(module), name)))


def _below(name: str, module: str) -> Command:
    app: Typer = _module(module).app
    builds = {_name(info): partial(_command, info) for info in app.registered_commands}
    return _group(name, str(app.info.help), builds)


def _group(name: str, help_: str, builds: Mapping[str, _Build]) -> TyperGroup:
    commands = cast("dict[str, Any]", Lazily(builds))  # the library only looks commands up
    # rich_markup_mode: its boxes would wrap error lines
    return TyperGroup(name=name, commands=commands, help=help_, no_args_is_help=True, rich_markup_mode=None)


def _name(info: CommandInfo) -> str:
    assert info.callback is not None
    return info.name or get_command_name(info.callback.__name__)


def _command(info: CommandInfo) -> Command:
    return cast("TyperCommand", get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None))


def _module(name: str) -> Any:
    return import_module(f"controller.cli.{name}")
