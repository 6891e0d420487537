"""The steps of `weir up`: check everything, then make everything, then wait; on failure take everything back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from controller.cli.output import say
from controller.client import operator
from controller.config import StateDir, System
from controller.host.errors import HostError
from controller.intent import policy
from controller.system import directories, lifecycle, readiness, requirements
from controller.system.errors import SystemFault
from controller.system.requirements import Request
from ovsdb.session import DatabaseError
from ovsdb.weir_db import WeirDb
from policies import loader


def bring_up(request: Request, directory: StateDir, policy_files: Sequence[str]) -> None:
    """Raises WrongRequest or PolicyErrors before anything is touched, then whatever goes wrong, with all taken back."""
    requirements.check_request(request)
    texts = loader.load(policy_files)
    for finding in policy.shortfall(policy.check(texts)):
        say(f"warning: {finding}")
    requirements.check_privilege("weir up")
    requirements.check_machine(request, requirements.system_rundir())
    is_new = not directory.path.exists()
    directories.make(directory.path)
    directories.check(directory)
    try:
        with lifecycle.exclusively(directory):
            _bring_up(request, directory, texts)
    finally:
        if is_new:
            with suppress(OSError):  # it holds something by now
                directory.path.rmdir()


def _bring_up(request: Request, directory: StateDir, texts: Mapping[str, str]) -> None:
    running = lifecycle.present(directory)
    if running is not None and lifecycle.can_go_on(running, directory):
        _go_on(running, request, directory)
        if texts:
            _apply(directory, texts)
        return
    if lifecycle.left_over(directory):
        say("taking away what an earlier system left")
        _say_all(lifecycle.stop(running, directory))
    system = lifecycle.plan(request, directory, requirements.system_rundir())
    had_databases = directory.db.exists()
    try:
        watch = lifecycle.start(system, directory, say)
        readiness.await_system(watch, system, directory)
        if texts:
            _apply(directory, texts)
    except BaseException:
        _take_back(system, directory, had_databases)
        raise
    say(f"ready: bridge {system.bridge}, {directory.path}")


def _apply(directory: StateDir, texts: Mapping[str, str]) -> None:
    with WeirDb(f"unix:{directory.weir_db_socket}") as database:
        database.connect()  # else it knows of no VIFs, and nothing is said of them
        for line in policy.knowingly(policy.check(texts), database.snapshot()):
            say(f"warning: {line}")
        policy.apply(database, texts, operator.name(), "weir up")


def _go_on(system: System, request: Request, directory: StateDir) -> None:
    """A system is up here already: see that all of it runs. Raises SystemFault when it is another than asked for."""
    if different := lifecycle.differences(system, request):
        raise SystemFault(f"a system is up in {directory.path}: {'; '.join(different)}", "Run weir down first")
    watch = readiness.Watch(directory)
    if not lifecycle.supervisor_runs(directory):
        say("its supervisor had ended: starting it again")
        lifecycle.start_supervisor(directory)
    readiness.await_system(watch, system, directory)
    say(f"a system is up in {directory.path} already")


def _say_all(notes: Iterable[str]) -> None:
    for note in notes:
        say(note)


def _take_back(system: System, directory: StateDir, had_databases: bool) -> None:
    """The logs stay, for whoever wants to know more."""
    try:
        _say_all(lifecycle.stop(system, directory))
        if not had_databases:
            lifecycle.remove_databases(directory)
    except (SystemFault, HostError, DatabaseError, OSError) as fault:
        say(f"taking back what was made: {fault}")
