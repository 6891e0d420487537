"""Which QoS and Queue rows of ours are deleted, and which are left because somebody points at them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ovsdb.open_vswitch import OpenVSwitch
from ovsdb.port_rows import FOR_PORT, NOOP, OWNER
from ovsdb.qos_rows import PortPolicers

ME = "weir/h1"


class Row(SimpleNamespace):
    """Known by identity, as rows of the database are by their uuid."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    _data = ()

    def __eq__(self, other: object) -> bool:
        return self is other


class Change:
    """Remembers what was deleted; puts what is put."""

    def __init__(self) -> None:
        self.deleted: set[Any] = set()

    def put(self, row: Row, **columns: Any) -> None:
        for name, value in columns.items():
            setattr(row, name, ([] if value is None else [value]) if name == "qos" else value)

    def delete(self, row: Row) -> None:
        self.deleted.add(row)


def queue() -> Row:
    return Row(external_ids={OWNER: ME})


def qos(port: str, *queues: Row) -> Row:
    return Row(type="egress-policer", external_ids={OWNER: ME, FOR_PORT: port}, queues=dict(enumerate(queues)))


def port(name: str, owner: str | None, *rows: Row) -> Row:
    return Row(name=name, qos=list(rows), external_ids={} if owner is None else {OWNER: owner})


def table(*rows: Row) -> dict[int, Row]:
    return dict(enumerate(rows))


def test_what_no_port_wants_is_deleted_but_not_what_somebody_elses_port_refers_to() -> None:
    kept_queue, loose_queue = queue(), queue()
    kept, loose = qos("wu1", kept_queue), qos("wu2", loose_queue)
    made_now = Row(type=NOOP, external_ids={OWNER: ME})  # as long as it is not committed it has no other column
    theirs, uplink, ours = port("eth1", None, kept), port("eth2", None, made_now), port("wu2", ME, loose)
    change = Change()
    policers = PortPolicers(change, ME, table(kept, loose), table(kept_queue, loose_queue))  # type: ignore[arg-type]
    for one in (theirs, uplink, ours):
        policers.mend(one, one.name, None)
    policers.finish()
    assert change.deleted == {loose, loose_queue}
    assert theirs.qos == [kept] and ours.qos == []


def test_of_a_bridge_that_was_deleted_by_hand_the_rows_that_ports_referred_to_are_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_queue, foreign = queue(), Row(type=NOOP, external_ids={}, queues={})
    own, shared = qos("wu1", own_queue), Row(type=NOOP, external_ids={OWNER: ME}, queues={})
    tables = {"Bridge": {}, "QoS": table(own, shared, foreign), "Queue": table(own_queue)}
    switch, change = OpenVSwitch("unix:unused"), Change()
    monkeypatch.setattr(switch, "rows", tables.__getitem__)
    switch._take_back(change, "br-weir", ME)  # type: ignore[arg-type]
    assert change.deleted == {own, own_queue, shared}
