from __future__ import annotations

import pytest

from controller.dataplane.cookies import CookieKind, Origin, decode, encode
from controller.dataplane.entries import FlowKey, MeterBody, SwitchState
from controller.dataplane.match import FieldValue, match
from controller.dataplane.stages import Failure, stages


def test_equal_matches_are_equal_whatever_the_order_and_the_bits_outside_the_mask() -> None:
    assert match(reg0=1, ipv4_src=(0x0A0000FF, 0xFF000000)) == match(ipv4_src=(0x0A000000, 0xFF000000), reg0=1)
    assert match(reg0=(5, 0)) == match()
    assert match(reg0=1).value("reg0") == 1 and match().value("reg0") is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"reg9": 1}, "no field"), ({"ip_proto": 256}, "does not fit"), ({"eth_type": (0x800, 0xFF00)}, "takes no mask")],
)
def test_what_is_no_match(fields: dict[str, FieldValue], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        match(**fields)


@pytest.mark.parametrize("kind", CookieKind)
def test_a_cookie_leads_back_to_its_origin(kind: CookieKind) -> None:
    assert decode(encode(kind, 12345)) == Origin(kind, 12345)


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
