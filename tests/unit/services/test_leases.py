"""The book of addresses from outside, in virtual time."""

from __future__ import annotations

import time
from ipaddress import ip_address, ip_interface

from controller.services.leases import GRACE_S, HOLD_S, MOST, Learner, LeaseBook
from controller.services.snoop import Source, Told
from tests.unit.services.places import mac_of


def learner(number: int, *learned: str, segment: str = "outside") -> Learner:
    return Learner(f"v{number}", mac_of(number), segment, learned)


def book(*learned: str) -> LeaseBook:
    made = LeaseBook()
    made.follow({1: learner(1, *learned), 2: learner(2)}, {ip_address("10.0.0.1")})
    return made


def lease(text: str, valid_s: int = 100, source: Source = Source.DHCP4) -> list[Told]:
    return [Told(source, ip_interface(text), valid_s)]


MADE = "2001:db8:1:0:aa:bbff:fecc:1/64"


def test_a_lease_lasts_as_long_as_it_says_and_is_renewed() -> None:
    one = book()
    assert one.told(1, lease("10.0.0.5/24"), 1000.0)
    assert one.addresses([1, 2]) == {1: ("10.0.0.5/24",), 2: ()}
    assert not one.told(1, lease("10.0.0.5/24"), 1090.0)  # the same again
    assert not one.expire(1190.0 + GRACE_S - 1)
    assert one.expire(1190.0 + GRACE_S) and one.addresses([1])[1] == ()


def test_a_client_of_dhcp4_has_one_address_and_loses_it_when_refused() -> None:
    one = book()
    one.told(1, lease("10.0.0.5/24"), 0.0)
    assert one.told(1, lease("10.0.0.6/24"), 1.0)
    assert one.expire(1.0 + HOLD_S) == {1} and one.addresses([1])[1] == ("10.0.0.6/24",)
    one.told(1, lease("fd09::1/128", source=Source.DHCP6), 1.0)
    assert not one.told(1, [Told(Source.DHCP4, None)], 20.0)
    assert one.expire(20.0 + HOLD_S) == {1} and one.addresses([1])[1] == ("fd09::1/128",)


def test_dhcp6_takes_back_what_it_gave() -> None:
    one = book()
    one.told(1, lease("fd09::1/128", source=Source.DHCP6), 0.0)
    one.told(1, lease("fd09::1/128", 0, Source.DHCP6), 1.0)
    assert one.expire(1.0 + HOLD_S) == {1} and one.addresses([1])[1] == ()


def test_what_is_given_up_stays_for_a_moment_and_is_not_lost_to_who_asks_for_it_again() -> None:
    one = book()
    one.told(1, lease("10.0.0.5/24"), 0.0)
    for now_s in range(1, 20):
        assert not one.told(1, [Told(Source.DHCP4, None)], now_s)
        assert not one.expire(now_s + HOLD_S - 0.1)
        assert not one.told(1, lease("10.0.0.5/24"), now_s + 0.5)
    assert not one.expire(19.5 + HOLD_S) and one.addresses([1])[1] == ("10.0.0.5/24",)


def test_a_full_vif_makes_room_with_what_was_given_up() -> None:
    one = book()
    for number in range(10 * MOST):
        one.told(1, lease(f"10.0.1.{number + 1}/24"), 0.0)
        assert len(one.addresses([1])[1]) <= MOST
    assert f"10.0.1.{10 * MOST}/24" in one.addresses([1])[1]


def test_nobody_gets_what_another_vif_or_a_router_has() -> None:
    one = book()
    assert not one.told(1, lease("10.0.0.1/24"), 0.0)
    one.told(1, lease("10.0.0.5/24"), 0.0)
    assert not one.told(2, lease("10.0.0.5/24"), 0.0)
    one.told(1, [Told(Source.DHCP4, None)], 1.0)
    assert one.told(2, lease("10.0.0.5/24"), 2.0) == {1, 2}  # at once, though it would have stayed for a moment
    assert one.addresses([1, 2]) == {1: (), 2: ("10.0.0.5/24",)}
    assert not one.expire(2.0 + HOLD_S)


def test_of_two_that_the_database_gives_one_address_one_has_it() -> None:
    one = LeaseBook()
    one.follow({1: learner(1, "10.0.0.5/24"), 2: learner(2, "10.0.0.5/24")}, ())
    assert one.addresses([1, 2]) == {1: ("10.0.0.5/24",), 2: ()}


def test_a_number_that_is_used_again_inherits_nothing() -> None:
    one = book("10.0.0.5/24")
    one.told(1, lease("fd09::1/128", source=Source.DHCP6), 0.0)
    later = Learner("later", mac_of(1), "outside")
    one.follow({1: later, 2: learner(2)}, ())
    assert one.addresses([1])[1] == ()
    assert one.told(2, lease("10.0.0.5/24"), 0.0) == {2}


def test_what_all_vifs_are_told_costs_no_more_than_its_size() -> None:
    """It was quadratic: 44 prefixes for 1,000 VIFs took 215 s."""
    one, numbers = LeaseBook(), range(1, 1001)
    one.follow({number: learner(number) for number in numbers}, ())
    start_s = time.process_time()
    for number in numbers:
        told = [Told(Source.ADVERT, ip_interface(f"2001:db8:{at:x}::{number:x}/64"), 100) for at in range(44)]
        assert one.told(number, told, 0.0) == {number}
    assert len(one.addresses([1000])[1000]) == MOST
    assert time.process_time() - start_s < 20.0


def test_what_is_assigned_afterwards_is_no_longer_learned() -> None:
    one = book()
    one.told(1, lease("10.0.0.5/24"), 0.0)
    one.follow({1: learner(1), 2: learner(2)}, {ip_address("10.0.0.5")})
    assert one.addresses([1])[1] == ()


def test_a_vif_has_so_many_only() -> None:
    one = book()
    for number in range(MOST + 5):
        one.told(1, lease(f"fd09::{number + 1:x}/128", source=Source.DHCP6), 0.0)
    assert len(one.addresses([1])[1]) == MOST


def test_a_router_shortens_no_lifetime_below_two_hours() -> None:
    one = book()
    one.told(1, lease(MADE, 100_000, Source.ADVERT), 0.0)
    one.told(1, lease(MADE, 0, Source.ADVERT), 10.0)
    assert not one.expire(7200.0)
    assert one.expire(7210.0 + GRACE_S)


def test_what_never_ends_stays() -> None:
    one = book()
    one.told(1, lease("10.0.0.5/24", 0xFFFFFFFF), 0.0)
    assert not one.expire(1e12)


def test_what_the_controller_before_had_learned_stays_until_its_source_says_otherwise() -> None:
    one = book("10.0.0.9/24", "fd09::1/128", MADE)
    assert not one.expire(1e12) and len(one.addresses([1])[1]) == 3
    assert one.told(1, lease("10.0.0.5/24"), 0.0)
    assert one.expire(HOLD_S) == {1} and one.addresses([1])[1] == ("10.0.0.5/24", MADE, "fd09::1/128")
    one.told(1, lease("fd09::1/128", 0, Source.DHCP6), 0.0)
    one.told(1, lease(MADE, 100, Source.ADVERT), 0.0)
    assert one.expire(100 + GRACE_S + 5.0) and one.addresses([1])[1] == ()


def test_a_vif_that_goes_or_moves_takes_nothing_with_it() -> None:
    one = book()
    one.told(1, lease("10.0.0.5/24"), 0.0)
    one.follow({1: learner(1, segment="elsewhere"), 2: learner(2)}, ())
    assert one.addresses([1])[1] == ()
    one.told(1, lease("10.0.0.5/24"), 0.0)
    one.follow({2: learner(2)}, ())
    assert one.addresses([1, 2]) == {1: (), 2: ()} and not one.told(1, lease("10.0.0.5/24"), 0.0)
