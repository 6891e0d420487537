"""The world is made anew when the Weir DB changes, and at the second when a binding expires; reports are written."""

from __future__ import annotations

import socket

import pytest
from eventlet.green import select as green_select

from controller.runtime import follower as module
from controller.runtime.follower import REST_S, FlowStatus, Follower
from ovsdb import poller as poller_module
from ovsdb.rows import Snapshot, UserBinding
from ovsdb.session import DatabaseError
from tests.unit.runtime.runtime_worlds import snapshot, vif

DONE = FlowStatus(3, None, connected=True)


class Played:
    """A Weir DB and a clock. fails: how many of the next writes do."""

    def __init__(self, shown: Snapshot) -> None:
        self.shown, self.now_s = shown, 100.0
        self.has_data = self.connected = True
        self.fails = self.turns = 0
        self.written: list[tuple[str, int, str | None, bool]] = []
        self.learned: list[dict[str, tuple[str, ...]]] = []
        self.scaled: list[dict[str, dict[str, int]]] = []
        self.worlds: list[frozenset[str]] = []  # users at v1, each time that somebody is told
        self.told_fails = 0
        self.follower = Follower(self, self._told, lambda: self.now_s)  # type: ignore[arg-type]

    def _told(self) -> None:
        if self.told_fails:
            self.told_fails -= 1
            raise ZeroDivisionError("nobody thought of this")
        self.worlds.append(self.follower.world.identities.parties["v1"].users)

    def run(self) -> None:
        self.turns += 1

    def register(self, poller: object) -> None:
        pass

    def snapshot(self) -> Snapshot:
        return self.shown

    def report_flows(self, chassis: str, flow_cfg: int, flow_error: str | None, connected: bool) -> None:
        if self.fails:
            self.fails -= 1
            raise DatabaseError("not now")
        self.written.append((chassis, flow_cfg, flow_error, connected))

    def report_learned(self, learned: dict[str, tuple[str, ...]]) -> None:
        if self.fails:
            self.fails -= 1
            raise DatabaseError("not now")
        self.learned.append(learned)

    def report_scaled(self, scaled: dict[str, dict[str, int]]) -> None:
        if self.fails:
            self.fails -= 1
            raise DatabaseError("not now")
        self.scaled.append(scaled)

    def turn(self) -> None:
        self.follower.report("nobody", DONE)  # so that it does not rest
        self.follower._turn()
        self.written = [row for row in self.written if row[0] != "nobody"]


def bound(user: str, expires_at_s: float | None = None) -> UserBinding:
    return UserBinding(user, "v1", "", 0.0, expires_at_s)


def test_a_world_is_made_of_each_snapshot_once() -> None:
    played = Played(snapshot(vif(1)))
    played.turn()
    first = played.follower.world
    played.turn()
    assert played.follower.world is first and len(played.worlds) == 1
    played.shown = snapshot(vif(1), bindings=(bound("alice"),))
    played.turn()
    assert played.worlds == [frozenset(), {"alice"}]


def test_nothing_is_known_before_the_replica_is_there() -> None:
    played = Played(snapshot(vif(1)))
    played.has_data = False
    played.turn()
    assert not played.follower.world.is_known and not played.worlds


def test_a_binding_ends_at_its_second_without_any_change_of_the_database() -> None:
    played = Played(snapshot(vif(1), bindings=(bound("alice", 110.0), bound("bob", 120.0), bound("carol"))))
    played.turn()
    for now_s, users in (
        (109.9, {"alice", "bob", "carol"}),
        (110.0, {"bob", "carol"}),
        (119.9, {"bob", "carol"}),
        (125.0, {"carol"}),
        (1e9, {"carol"}),
    ):
        played.now_s = now_s
        played.turn()
        assert played.follower.world.identities.parties["v1"].users == users
    assert played.worlds == [{"alice", "bob", "carol"}, {"bob", "carol"}, {"carol"}]


def test_it_rests_no_longer_than_until_then() -> None:
    played = Played(snapshot(vif(1), bindings=(bound("alice", 102.5),)))
    assert played.follower._rest_s() == REST_S
    played.turn()
    assert played.follower._rest_s() == 2.5
    played.now_s = 103.0
    assert played.follower._rest_s() == 0.0
    played.turn()
    assert played.follower._rest_s() == REST_S
    played.shown = snapshot(vif(1), bindings=(bound("alice", 1000.0),))
    played.turn()
    assert played.follower._rest_s() == REST_S


def test_who_could_not_take_a_world_in_is_told_again() -> None:
    played = Played(snapshot(vif(1)))
    played.told_fails = 1
    with pytest.raises(ZeroDivisionError):
        played.turn()
    assert played.follower.world.is_known and not played.worlds
    played.turn()
    assert len(played.worlds) == 1


def test_what_comes_at_once_with_a_report_does_not_take_the_place_of_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """eventlet's select tells its green thread of each descriptor by itself, whatever it waits for by then."""
    monkeypatch.setattr(poller_module, "select", green_select)
    played = Played(snapshot(vif(1)))
    database, change = socket.socketpair()
    monkeypatch.setattr(played, "register", lambda poller: poller.fd_wait(database))
    with database, change:
        change.send(b".")
        for number in range(2, 22):
            played.turn()
            played.shown = snapshot(vif(1), vif(number))
    assert len(played.worlds) == 20


def test_a_report_wakes_it_and_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST_S", 3600.0)
    played = Played(snapshot(vif(1)))
    played.follower.report("h1", FlowStatus(3, "it is late", connected=True))
    played.follower._turn()
    assert played.written == [("h1", 3, "it is late", True)]


def test_the_last_report_of_a_chassis_holds_and_none_is_lost() -> None:
    played = Played(snapshot(vif(1)))
    played.connected = False
    for cfg in (1, 2, 3):
        played.follower.report("h1", FlowStatus(cfg, None, connected=True))
    played.follower.report("h2", FlowStatus(None, None, connected=False))
    played.turn()
    assert not played.written
    played.fails, played.connected = 2, True
    for _ in range(2):
        with pytest.raises(DatabaseError):
            played.turn()
    played.follower.report("h1", FlowStatus(4, None, connected=True))
    played.turn()
    assert sorted(played.written) == [("h1", 4, None, True), ("h2", 0, None, False)]


def test_a_report_counts_as_unwritten_until_the_database_has_its_last_word() -> None:
    played = Played(snapshot(vif(1)))
    played.follower.report("h1", FlowStatus(None, "gone", connected=False))
    assert list(played.follower.unwritten) == ["h1"]
    played.fails = 1
    with pytest.raises(DatabaseError):
        played.turn()
    assert "h1" in played.follower.unwritten

    def write(*row: object) -> None:
        if len(played.written) == 1:  # while the first is being written
            played.follower.report("h1", FlowStatus(4, None, connected=True))
        Played.report_flows(played, *row)  # type: ignore[arg-type]

    played.report_flows = write  # type: ignore[method-assign]
    played.turn()
    assert not played.follower.unwritten
    assert played.written == [("h1", 0, "gone", False), ("h1", 4, None, True)]


def test_a_report_without_a_number_leaves_it_as_it_was() -> None:
    played = Played(snapshot(vif(1)))
    played.follower.report("h1", FlowStatus(None, "gone", connected=False))
    played.turn()
    assert played.written == [("h1", snapshot().chassis["h1"].flow_cfg, "gone", False)]


def test_what_was_learned_is_written_and_not_lost_when_it_cannot_be() -> None:
    played = Played(snapshot(vif(1)))
    played.follower.report_learned({"v1": ("10.0.0.1/24",), "v2": ("10.0.0.2/24",)})
    played.fails = 1
    with pytest.raises(DatabaseError):
        played.turn()
    played.follower.report_learned({"v1": ()})
    played.turn()
    assert played.learned == [{"v1": (), "v2": ("10.0.0.2/24",)}]


def test_what_the_loop_has_moved_is_written_and_not_lost_when_it_cannot_be() -> None:
    played = Played(snapshot(vif(1)))
    played.follower.report_scaled({"v1": {"egress_kbps": 5}, "v2": {"egress_kbps": 6}})
    played.fails = 1
    with pytest.raises(DatabaseError):
        played.turn()
    played.follower.report_scaled({"v1": {}})
    played.turn()
    assert played.scaled == [{"v1": {}, "v2": {"egress_kbps": 6}}]
