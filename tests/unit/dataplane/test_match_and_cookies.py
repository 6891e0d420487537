from __future__ import annotations

import pytest

from controller.dataplane.actions import Action, Clone, Controller, Instructions
from controller.dataplane.cookies import WITH_VIF, CookieKind, Origin, decode, encode, with_vif
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, PacketMeterBody, SwitchState
from controller.dataplane.match import FieldValue, match
from controller.dataplane.meter_ids import OUR_METERS, RULE_METERS, SERVICE_METERS, VIF_METERS
from controller.dataplane.stages import Failure, decreases_first, stages


def test_equal_matches_are_equal_whatever_the_order_and_the_bits_outside_the_mask() -> None:
    assert match(reg0=1, ipv4_src=(0x0A0000FF, 0xFF000000)) == match(ipv4_src=(0x0A000000, 0xFF000000), reg0=1)
    assert match(reg0=(5, 0)) == match()
    assert match(reg0=1).value("reg0") == 1 and match().value("reg0") is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"reg16": 1}, "no field"), ({"ip_proto": 256}, "does not fit"), ({"eth_type": (0x800, 0xFF00)}, "takes no mask")],
)
def test_what_is_no_match(fields: dict[str, FieldValue], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        match(**fields)


@pytest.mark.parametrize("kind", CookieKind)
def test_a_cookie_leads_back_to_its_origin(kind: CookieKind) -> None:
    assert decode(encode(kind, 12345)) == Origin(kind, 12345)


def test_a_cookie_may_lead_back_to_a_vif_too() -> None:
    for kind in WITH_VIF:
        origin = decode(encode(kind, with_vif(0xFFFFFF, 49151)))
        assert origin is not None and (origin.of, origin.vif) == (0xFFFFFF, 49151)
    assert Origin(CookieKind.VIF, 7).vif == 7 and Origin(CookieKind.RULE, 7).vif is None
    with pytest.raises(ValueError, match="does not fit"):
        with_vif(1 << 24, 1)


def test_meter_ids_are_told_apart() -> None:
    assert VIF_METERS[-1] < RULE_METERS[0] and RULE_METERS[-1] < SERVICE_METERS[0]
    assert len(SERVICE_METERS) >= len(VIF_METERS) + 2  # one a VIF, that of the outside, that of neighbours there
    assert set(OUR_METERS) >= {VIF_METERS[0], RULE_METERS[-1], SERVICE_METERS[-1]}
    assert 0 not in OUR_METERS and SERVICE_METERS[-1] + 1 not in OUR_METERS


def test_others_cookies_are_not_ours() -> None:
    assert decode(0) is None and decode(0x5EE1FF0000000001) is None
    with pytest.raises(ValueError, match="does not fit"):
        encode(CookieKind.RULE, 1 << 40)


def test_what_is_to_be_done_and_what_was_refused_say_so_in_words() -> None:
    changes = stages(SwitchState(meters={1: MeterBody(1, 1)}), SwitchState(meters={2: MeterBody(1, 1)}))
    assert str(changes) == "flow entries: 0 added, 0 changed, 0 deleted; meters: 1 added, 0 changed, 1 deleted"
    assert str(Failure(None, "full")) == "the flow entries as a whole: full"
    assert str(Failure(3, "full")) == "meter 3: full"
    assert (
        str(Failure(FlowKey(40, 100, match(reg0=1)), "full"))
        == "flow entry table=egress_meter, priority=100,reg0=0x1: full"
    )


COPY: Action = Controller(128, 70_000)


@pytest.mark.parametrize("apply", [(COPY,), (Clone((Clone((COPY,)),)),)])
def test_an_entry_whose_copies_lost_their_meter_is_written_again(apply: tuple[Action, ...]) -> None:
    """Open vSwitch keeps such an entry when the meter is deleted, and would then use another."""
    copies, others = FlowKey(32, 1, match(reg0=1)), FlowKey(32, 1, match(reg0=2))
    flows = {
        copies: FlowBody(1, Instructions(apply=apply)),
        others: FlowBody(1, Instructions(meter_id=70_000, apply=(Controller(128, 70_001),))),
    }
    meters = {70_000: PacketMeterBody(10, 20), 70_001: PacketMeterBody(10, 20)}
    desired = SwitchState(flows, meters)
    assert not stages(desired, desired)
    changes = stages(desired, SwitchState(flows, {70_001: meters[70_001]}))
    assert (dict(changes.flows.modify), changes.flows.add, changes.flows.delete) == ({copies: flows[copies]}, {}, {})
    assert stages(desired, SwitchState({}, {})).flows.add == flows


def test_of_meters_that_change_what_becomes_less_is_first_and_the_same_is_not_written():
    old = {1: MeterBody(1, 9), 2: MeterBody(5, 9), 3: MeterBody(7, 9), 4: MeterBody(4, 9)}
    new = {1: MeterBody(2, 9), 2: MeterBody(5, 9), 3: MeterBody(6, 9), 5: MeterBody(1, 9)}
    assert list(decreases_first(old, new).items()) == [(3, MeterBody(6, 9)), (1, MeterBody(2, 9))]
    assert list(stages(SwitchState(meters=new), SwitchState(meters=old)).meters.modify) == [3, 1]
