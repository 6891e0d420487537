"""What is to become desired state of the Weir DB, as a value, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ovsdb import policy_history
from ovsdb.rows import PolicyVersion, UserBinding, VirtualInterface
from ovsdb.session import Session
from ovsdb.transaction import Refused, Transaction

_DESIRED = (
    "name", "number", "policy", "segment", "kind", "mac", "addresses",
    "chassis", "instance", "binding", "ifname", "labels", "egress", "ingress", "options",
)  # fmt: skip
_FIXED = ("name", "number", "kind", "chassis")  # for the life of a VIF


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy set as written. applied_at_s: seconds since 1970. reason: in the words of whoever applies it."""

    files: Mapping[str, str]
    applied_by: str
    applied_at_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """What is to become desired state, all of it or nothing. Of `create`, `cfg` and status are set by the writing.

    change: VIFs that there are already, by name, as they shall be from now on (but for their number and status): `cfg`
    is set by the writing, and an agent that reports `agent_cfg` of it has done its part.
    delete: VIFs, with what is bound to them. bind: in the place of a binding of the same key, if there is one; unbind:
    by key, unless it is bound anew.
    numbers, next_number, other_config: the whole of what they shall be; None: as they are.
    """

    create: tuple[VirtualInterface, ...] = ()
    change: tuple[VirtualInterface, ...] = ()
    delete: tuple[str, ...] = ()
    policy: PolicyText | None = None
    numbers: Mapping[tuple[str, str], int] | None = None
    next_number: Mapping[str, int] | None = None
    other_config: Mapping[str, str] | None = None
    bind: tuple[UserBinding, ...] = ()
    unbind: tuple[UserBinding, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == Command()


def write(session: Session, change: Transaction, system: Any, command: Command, cfg: int) -> None:
    """system: the row of table Weir. cfg: the number under which it takes effect. Raises Refused.

    With a policy, `policy_history.make_ready` was called before the transaction.
    """
    change.put(system, cfg=cfg)
    for column in ("next_number", "other_config"):
        if getattr(command, column) is not None:
            change.put(system, **{column: getattr(command, column)})
    if command.policy is not None:
        _write_policy(session, change, system, command.policy)
    if command.numbers is not None:
        _write_numbers(session, change, command.numbers)
    _write_interfaces(session, change, command, cfg)
    _write_bindings(session, change, command)


def by_name(session: Session, table: str) -> dict[str, Any]:
    """The rows of a table that has names."""
    return {row.name: row for row in session.rows(table).values()}


def _write_policy(session: Session, change: Transaction, system: Any, policy: PolicyText) -> None:
    """Table Policy holds the version in force alone: every client replicates it."""
    version = system.policy_version + 1 if system._data is not None else 1
    digests = policy_history.digests(policy.files)
    added = PolicyVersion(version, policy.applied_at_s, policy.applied_by, policy.reason, digests)
    policy_history.record(session, change, added, policy.files)
    for row in list(session.rows("Policy").values()):
        change.delete(row)
    change.insert(
        "Policy",
        version=version,
        files=policy.files,
        applied_at=policy.applied_at_s,
        applied_by=policy.applied_by,
    )
    change.put(system, policy_version=version)


def _write_numbers(session: Session, change: Transaction, numbers: Mapping[tuple[str, str], int]) -> None:
    missing = dict(numbers)
    for row in list(session.rows("Identifier").values()):
        if missing.get((row.kind, row.key)) == row.number:
            del missing[row.kind, row.key]
        else:
            change.delete(row)
    for (kind, key), number in missing.items():
        change.insert("Identifier", kind=kind, key=key, number=number)


def _write_interfaces(session: Session, change: Transaction, command: Command, cfg: int) -> None:
    present = by_name(session, "Virtual_Interface") if command.delete or command.change else {}
    for name in command.delete:
        if name not in present:
            raise Refused(f"Weir DB: there is no VIF {name!r}. See weir vif list.")
        change.delete(present[name])
    for vif in command.change:
        if vif.name not in present:
            raise Refused(f"Weir DB: there is no VIF {vif.name!r}. See weir vif list.")
        desired: dict[str, Any] = {column: getattr(vif, column) for column in _DESIRED if column not in _FIXED}
        if present[vif.name].segment != vif.segment:
            desired["learned"] = []  # what it was told elsewhere
        change.put(present[vif.name], **{**desired, "cfg": cfg})
    for vif in command.create:
        desired = {column: getattr(vif, column) for column in _DESIRED}
        change.insert("Virtual_Interface", **{**desired, "cfg": cfg, "state": "pending"})


def _write_bindings(session: Session, change: Transaction, command: Command) -> None:
    present = {(row.user, row.vif, row.address): row for row in session.rows("User_Binding").values()}
    gone = {binding.key for binding in command.unbind} - {binding.key for binding in command.bind}
    vifs = set(command.delete)
    for key, row in present.items():
        if key in gone or row.vif in vifs:
            change.delete(row)
    for binding in command.bind:
        row = present.get(binding.key)
        if row is None:
            row = change.insert("User_Binding", user=binding.user, vif=binding.vif, address=binding.address)
        change.put(row, bound_at=binding.bound_at_s, expires_at=binding.expires_at_s, bound_by=binding.bound_by)
