"""A running system, from Python: VIFs and policies, in force when a call returns. Plain Python, for one thread.

What creating a VIF does not need is imported where it is used: most of what `weir vif create` takes is imports.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from controller import config
from controller.client import operator
from controller.client.connection import opened
from controller.client.places import ITS_OWN, Place, binding_of, numbered
from controller.client.values import Demand, Traffic, check_types, own, traffic
from controller.config import ConfigError, StateDir
from controller.intent import creation, vif
from controller.intent.creation import Warn
from controller.intent.errors import Rejected
from controller.intent.kind_options import DEFAULT_IFNAME, VETH
from controller.intent.vif_change import VifChange
from controller.intent.vif_checks import VifRequest
from controller.intent.wait import Progress
from controller.system.errors import WrongRequest
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.weir_db import WeirDb
from policies.model import PolicySet
from policies.own_numbers import INHERITED
from policies.parser import parse
from policies.wording import nearest

if TYPE_CHECKING:
    from controller.intent.hypervisor import Attachment
    from controller.intent.views import Figures


class Weir:
    """The system of a state directory (None: WEIR_STATE_DIR, else /run/weir). For use in a `with` block.

    warn: called with each line that is to be said of VIFs that are created or changed, such as what they go without.

    What cannot be done raises one of `weir.FAILURES`, whose text is what the command line would print; then everything
    is as it was before. A VIF is named by its name, or by the value that a call gave for it.
    """

    def __init__(self, state_dir: str | Path | None = None, warn: Warn | None = None) -> None:
        self._warn = warn
        self._state_dir = None if state_dir is None else str(state_dir)
        self._stack = ExitStack()
        self._opened: tuple[StateDir, WeirDb] | None = None
        self._read: tuple[Mapping[str, str], PolicySet] = {}, PolicySet()

    def __enter__(self) -> Weir:
        """Raises SystemFault when no system is there, DatabaseError when it does not answer."""
        self._opened = self._stack.enter_context(opened(self._state_dir))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._opened = None
        self._stack.close()

    @property
    def directory(self) -> StateDir:
        return self._connected()[0]

    def create_virtual_interface(  # noqa: PLR0913 (a parameter is what one may say of a VIF)
        self,
        instance_id: str,
        policy_name: str,
        *,
        name: str | None = None,
        segment: str | None = None,
        kind: str = "veth",
        place: Place = ITS_OWN,
        ifname: str = DEFAULT_IFNAME,
        mac: str | None = None,
        addresses: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        demand: Demand | None = None,
        options: Mapping[str, str] | None = None,
        chassis: str | None = None,
    ) -> VirtualInterface:
        """A VIF for an instance, at the leaf `policy_name`; returns when it is in force. name None: the instance's id.

        options: of its kind, by the names of controller.intent.kind_options.
        """
        wanted = demand or Demand()
        request = VifRequest(
            name=instance_id if name is None else name,
            policy=policy_name,
            segment=segment,
            kind=kind,
            binding=binding_of(place),
            instance=instance_id,
            ifname=ifname,
            mac=mac,
            addresses=addresses,  # type: ignore[arg-type]  # a bare text too, which is told in create()
            labels={} if labels is None else labels,
            chassis=chassis,
            egress=own(wanted.egress, "egress") or INHERITED,
            ingress=own(wanted.ingress, "ingress") or INHERITED,
            options={} if options is None else options,
        )
        return self.create([request])[0]

    def create(self, requests: Sequence[VifRequest], progress: Progress | None = None) -> list[VirtualInterface]:
        """Many at once: one that cannot be does not keep the others from being, and raises Partly at the end."""
        for request in requests:
            check_types(request)
        requests = [replace(one, addresses=tuple(one.addresses), options=numbered(one.options)) for one in requests]
        database = self._connected()[1]
        if len(requests) == 1:
            return [creation.create(database, requests[0], warn=self._warn)]
        return creation.create_many(database, requests, progress, warn=self._warn) if requests else []

    def adjust_resources(self, interface: str | VirtualInterface, new_demand: Demand) -> VirtualInterface:
        """Other bandwidth for a running VIF, which loses nothing by it that both demands allow."""
        change = VifChange(egress=own(new_demand.egress, "egress"), ingress=own(new_demand.ingress, "ingress"))
        self.change([interface], change)
        return _found(_name(interface), self._snapshot())

    def change(
        self, interfaces: Collection[str | VirtualInterface], change: VifChange
    ) -> tuple[list[VirtualInterface], bool]:
        """Anything else of running VIFs. Returns them as they are now, and whether anything was to be changed."""
        check_types(change)
        change = replace(change, options=numbered(change.options))
        return vif.change(self._connected()[1], _names(interfaces), change, warn=self._warn)

    def monitor_traffic(self, interface: str | VirtualInterface) -> Traffic:
        """What the VIF does now, as the controller last measured it (each second)."""
        return traffic(self.describe(interface), time.time())

    def watch_traffic(self, interface: str | VirtualInterface, interval_s: float = 1.0) -> Iterator[Traffic]:
        """Every interval, until the VIF is not there any more."""
        due_s = time.monotonic()
        while (found := (snapshot := self._snapshot()).interfaces.get(_name(interface))) is not None:
            yield traffic(self._document(found, snapshot), time.time())
            due_s = max(due_s + interval_s, time.monotonic())
            time.sleep(max(0.0, due_s - time.monotonic()))

    def destroy_virtual_interface(self, interface: str | VirtualInterface) -> None:
        """Returns when nothing of it is left on its host and switch."""
        self.delete([interface])

    def delete(self, interfaces: Collection[str | VirtualInterface], progress: Progress | None = None) -> None:
        """Likewise many. One that does not exist is refused, and then none is deleted."""
        vif.delete(self._connected()[1], _names(interfaces), progress)

    def virtual_interface(self, name: str) -> VirtualInterface:
        """Raises WrongRequest when there is no such VIF."""
        return _found(name, self._snapshot())

    def virtual_interfaces(self) -> list[VirtualInterface]:
        """All of them, by name."""
        return list(self._snapshot().interfaces.values())

    def describe(self, interface: str | VirtualInterface) -> dict[str, Any]:
        """What `weir vif show --json` prints."""
        snapshot = self._snapshot()
        return self._document(_found(_name(interface), snapshot), snapshot)

    def describe_all(self) -> list[dict[str, Any]]:
        """What `weir vif list --json` prints."""
        from controller.intent import views

        snapshot = self._snapshot()
        return views.vif_documents(snapshot, self._policies(snapshot), self._figures(), self._is_userspace())

    def attachment(self, interface: str | VirtualInterface) -> Attachment | None:
        """How a hypervisor gets the VIF; None: it has nothing to do with one."""
        snapshot = self._snapshot()
        found = _found(_name(interface), snapshot)
        if found.kind == VETH:  # as most are: the policies need not be read for it
            return None
        from controller.intent import views

        return views.attachment_of(found, snapshot, self._policies(snapshot), self._is_userspace())

    def live(self) -> list[dict[str, Any]]:
        """What every VIF does now, by name: what `weir top --json` prints. Raises ApiError without a controller."""
        from controller.client import loop

        return loop.now(self.directory.api_socket, self._snapshot())

    def loop_changes(
        self, interface: str | VirtualInterface | None = None, since_s: float | None = None
    ) -> list[dict[str, Any]]:
        """What the loop changed of a VIF, or of all (the newest 1,000), and why, in the last `since_s` seconds, the
        oldest first: the `changes` of `weir loop history --json`. Raises ApiError, WrongRequest."""
        from controller.client import loop

        vif = None if interface is None else _name(interface)
        return list(loop.history(self.directory.api_socket, vif, since_s)["changes"])

    def loop_series(
        self, interface: str | VirtualInterface | None = None, since_s: float | None = None
    ) -> dict[str, Any]:
        """The figures of every tick of a VIF, or of all together, as lists. Raises ApiError, WrongRequest."""
        from controller.client import loop

        return loop.series(self.directory.api_socket, None if interface is None else _name(interface), since_s)

    def events(self) -> list[dict[str, Any]]:
        """What Weir has repaired lately that somebody else had changed, the oldest first: what `weir events --json`
        prints. Raises ApiError when no controller answers.
        """
        from controller.api import client as api

        found: list[dict[str, Any]] = api.get(self.directory.api_socket, "/v1/events")["events"]
        return found

    def watch_events(self, interval_s: float = 1.0) -> Iterator[dict[str, Any]]:
        """Those of now, and then each as it comes, without end. While no controller answers none comes, but at first
        that raises ApiError.
        """
        from controller.api import client as api

        before, found = list[dict[str, Any]](), self.events()
        while True:
            yield from (event for event in found if event not in before)
            before = found
            time.sleep(interval_s)
            with suppress(api.ApiError):
                found = self.events()

    def apply_policy(self, files: Mapping[str, str], reason: str = "") -> int:
        """Replaces the whole policy set by texts, by the names of their files. Returns the version, once in force."""
        from controller.intent import policy

        return policy.apply(self._connected()[1], files, operator.name(), reason)

    def _connected(self) -> tuple[StateDir, WeirDb]:
        if self._opened is None:
            self.__enter__()
        assert self._opened is not None
        return self._opened

    def _snapshot(self) -> Snapshot:
        database = self._connected()[1]
        if not database.connected:
            database.connect()
        database.run()
        return database.snapshot()

    def _document(self, found: VirtualInterface, snapshot: Snapshot) -> dict[str, Any]:
        from controller.intent import views

        policies = self._policies(snapshot)
        return views.vif_document(found.name, snapshot, policies, self._figures(), self._is_userspace())

    def _policies(self, snapshot: Snapshot) -> PolicySet:
        """Read when their text is another than it was."""
        if self._read[0] != snapshot.files:
            self._read = snapshot.files, parse(snapshot.files)
        return self._read[1]

    def _figures(self) -> Figures | None:
        """None while no controller answers: what a VIF is can be shown all the same."""
        from controller.api import client as api  # with http, which is much to load where nobody asks for figures

        try:
            vifs: Figures = api.get(self.directory.api_socket, "/v1/vifs")["vifs"]
        except api.ApiError:
            return None
        return vifs

    def _is_userspace(self) -> bool:
        """A Weir DB without a system beside it is that of agents started by hand, on userspace bridges."""
        try:
            return config.load(self.directory).datapath != "kernel"
        except ConfigError:
            return True


def _name(interface: str | VirtualInterface) -> str:
    return interface if isinstance(interface, str) else interface.name


def _names(interfaces: Collection[str | VirtualInterface]) -> list[str]:
    if isinstance(interfaces, str):
        raise Rejected([f"{interfaces!r} is one VIF, and no list. Give a list: [{interfaces!r}]."])
    return [_name(one) for one in interfaces]


def _found(name: str, snapshot: Snapshot) -> VirtualInterface:
    if name not in snapshot.interfaces:
        meant = nearest(name, snapshot.interfaces)
        remedy = f"Did you mean '{meant}'?" if meant else "See weir vif list"
        raise WrongRequest(f"there is no VIF '{name}'", remedy)
    return snapshot.interfaces[name]
