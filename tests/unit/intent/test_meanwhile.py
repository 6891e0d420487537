"""What a command says and leaves when somebody else's command comes between its writing and its end."""

from __future__ import annotations

import pytest

from controller.intent import creation, history, policy, vif
from controller.intent.errors import NotInForce
from controller.intent.history import Recalled
from controller.intent.vif_change import VifChange
from controller.intent.vif_checks import VifRequest
from ovsdb.weir_db import Command
from tests.unit.intent import worlds
from tests.unit.intent.played_db import PlayedDb

OTHER = {"policy.yaml": worlds.POLICY + "# other\n"}
BOBS = {"policy.yaml": worlds.POLICY + "# bob's\n"}


def bob_applies(db: PlayedDb) -> None:
    policy.submit(db, BOBS, "bob")


def test_a_change_that_fails_does_not_take_back_what_another_vif_was_given_meanwhile() -> None:
    web = worlds.vif("web", 2, policy="free", state="ready")
    db = PlayedDb(worlds.world(web), failing=["web"])
    thief = worlds.vif("thief", 3, policy="free", addresses=web.addresses)
    db.meanwhile = [lambda: db.write(Command(create=(thief,)))]
    change = VifChange(addresses=("10.30.0.9",), binding={"netns": "red"})
    with pytest.raises(NotInForce) as fault:
        vif.change(db, ["web"], change)
    assert fault.value.lines[0] == "VIF 'web': there is no such namespace."
    assert fault.value.lines[1].startswith("undo failed for VIF 'web': address 10.30.0.2 is that of VIF 'thief'")
    after = db.snapshot().interfaces
    assert (after["web"].addresses, after["thief"].addresses) == (("10.30.0.9/24",), web.addresses)


def test_a_change_that_fails_is_taken_back_when_nobody_else_did_anything() -> None:
    web = worlds.vif("web", 2, policy="free", state="ready")
    db = PlayedDb(worlds.world(web), failing=["web"])
    with pytest.raises(NotInForce, match="was put back to what it was before"):
        vif.change(db, ["web"], VifChange(addresses=("10.30.0.9",), binding={"netns": "red"}))
    after = db.snapshot().interfaces["web"]
    assert (after.addresses, after.binding, after.state) == (web.addresses, {}, "ready")


def test_of_many_one_that_was_deleted_after_it_was_in_force_is_not_returned() -> None:
    db = PlayedDb(worlds.world())
    requests = [VifRequest(f"n{number}", "free", "lab") for number in range(1, creation.LEAST_BATCH + 2)]
    db.meanwhile = [lambda: None, lambda: db.write(Command(delete=("n1",)))]
    made = creation.create_many(db, requests)
    assert [one.name for one in made] == [one.name for one in requests[1:]]


def test_an_apply_tells_the_version_that_it_wrote() -> None:
    db = PlayedDb(worlds.world())
    db.meanwhile = [lambda: bob_applies(db)]
    assert policy.apply(db, OTHER, "alice") == 2
    assert db.snapshot().policy_version == 3
    assert policy.replaced(2, db.snapshot()) == (
        "policy version 2 was replaced by version 3 meanwhile. See weir policy history."
    )
    assert policy.apply(db, BOBS, "alice") == 3  # it is so already
    assert policy.replaced(3, db.snapshot()) is None


def test_so_does_a_rollback() -> None:
    db = PlayedDb(worlds.world())
    db.meanwhile = [lambda: bob_applies(db)]
    assert history.rollback(db, Recalled(1, OTHER), "alice") == 2
    assert db.snapshot().policy_version == 3
