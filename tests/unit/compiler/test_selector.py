"""What endpoints come to, against the plain reading of the oracle."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.compiler.selector import Networks, Own, Selector
from policies.endpoints_meaning import Side, mismatch
from policies.identity import Identities, Party
from policies.model import Endpoint, Group, IPAddress, PolicySet, Position, Segment, SegmentType

AT = Position("policy.yaml", 1, 1)
POLICIES = PolicySet(
    segments={
        "lab": Segment("lab", SegmentType.INTERNAL, AT, (ip_network("10.0.0.0/30"), ip_network("fd00::/126"))),
        "bare": Segment("bare", SegmentType.INTERNAL, AT),
    },
    groups={
        "staff": Group("staff", frozenset({"alice", "bob"}), AT),
        "others": Group("others", frozenset({"carol", "nobody"}), AT),
        "none": Group("none", frozenset({"nobody"}), AT),
    },
)
USERS, NOBODY = ["alice", "bob", "carol"], "nobody"
ADDRESSES = [
    *("10.0.0.1", "10.0.0.2", "10.0.0.9", "10.9.0.1", "192.0.2.1"),
    *("fd00::1", "fd00::2", "fd00::9", "fe80::1", "2001:db8::1"),
]
UNIVERSE = [ip_address(text) for text in ADDRESSES]
NETWORKS = [
    ip_network(text)
    for text in ("10.0.0.1", "10.0.0.0/31", "10.0.0.0/8", "0.0.0.0/0", "10.9.0.0/16", "fd00::1", "fd00::/64", "::/0")
]
LABELS = [("app", "web"), ("app", "db"), ("role", "front")]
PATHS = ["acme", "acme/web", "acme/webs", "solo"]

networks = st.none() | st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=2, unique=True).map(tuple)
some_labels = st.lists(st.sampled_from(LABELS), max_size=2, unique=True).map(lambda found: tuple(sorted(found)))
endpoints = st.builds(
    Endpoint,
    networks=networks,
    user=st.none() | st.sampled_from([*USERS, NOBODY]),
    group=st.none() | st.sampled_from(sorted(POLICIES.groups)),
    app=st.none() | st.sampled_from(["web", "db"]),
    policy=st.none() | st.sampled_from(PATHS),
    vif=st.none() | st.sampled_from(["v1", "v2", "gone"]),
    segment=st.none() | st.sampled_from(["lab", "bare"]),
    labels=some_labels,
)
KEYS = ("networks", "user", "group", "app", "policy", "vif", "segment", "labels")


@st.composite
def of_few_keys(draw: st.DrawFn) -> Endpoint:
    """Of one to three keys: with more, nothing is meant."""
    whole = draw(endpoints)
    kept = draw(st.sets(st.sampled_from(KEYS), min_size=1, max_size=3))
    return Endpoint(**{key: getattr(whole, key) for key in kept})


@st.composite
def worlds(draw: st.DrawFn) -> Identities:
    """Some VIFs share an address."""
    parties = [
        Party(
            f"v{number}",
            number,
            draw(st.sampled_from(["acme/web", "acme/webs", "solo"])),
            draw(st.sampled_from(["lab", "bare"])),
            frozenset(draw(st.sets(st.sampled_from(UNIVERSE), max_size=3))),
            frozenset(draw(st.sets(st.sampled_from(USERS), max_size=2))),
            draw(some_labels),
        )
        for number in (1, 2, 3, 4)
    ]
    bound = draw(st.dictionaries(st.sampled_from(USERS), st.frozensets(st.sampled_from(UNIVERSE), min_size=1)))
    return Identities({party.name: party for party in parties}, bound)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(worlds(), st.lists(st.one_of(of_few_keys(), of_few_keys(), endpoints), min_size=1, max_size=2).map(tuple))
def test_endpoints_mean_what_the_oracle_says(world: Identities, ends: tuple[Endpoint, ...]) -> None:
    selector, local = Selector(POLICIES, world), [world.parties[name] for name in ("v1", "v2", "v3")]
    own, remote = selector.own(ends, local), selector.remote(ends)
    for address in UNIVERSE:
        means = mismatch(ends, Side(address, None, POLICIES, world)) is None
        assert (remote is None or is_in(address, remote)) == means, address
        for party in local:
            means = mismatch(ends, Side(address, party, POLICIES, world)) is None
            assert holds(own, party, address) == means, (party, address)


def holds(own: tuple[Own, ...] | None, party: Party, address: IPAddress) -> bool:
    return own is None or any(
        (one.vifs is None or party.number in one.vifs) and (one.networks is None or is_in(address, one.networks))
        for one in own
    )


def is_in(address: IPAddress, found: Networks) -> bool:
    return any(address.version == network.version and address in network for network in found)


WORLD = Identities(
    {
        "v1": Party("v1", 1, "acme/web", "lab", frozenset(UNIVERSE[:1]), frozenset({"alice"})),
        "v2": Party("v2", 2, "solo", "lab", frozenset(UNIVERSE[1:3])),
    },
    {"bob": frozenset(UNIVERSE[3:4])},
)
SELECTOR = Selector(POLICIES, WORLD)


def test_any_and_nothing() -> None:
    local = list(WORLD.parties.values())
    assert SELECTOR.own(None, local) is None and SELECTOR.remote(None) is None
    assert SELECTOR.own((), local) == () and SELECTOR.remote(()) == ()
    anywhere = (Endpoint(vif="v1"), Endpoint())
    assert SELECTOR.own(anywhere, local) is None and SELECTOR.remote(anywhere) is None


@pytest.mark.parametrize(
    ("endpoint", "own", "remote"),
    [
        (Endpoint(user="nobody"), (), ()),
        (Endpoint(vif="gone"), (), ()),
        (Endpoint(user="alice"), (Own((1,), None),), ("10.0.0.1/32",)),
        (Endpoint(user="bob"), (Own(None, (ip_network("10.9.0.1"),)),), ("10.9.0.1/32",)),
        (
            Endpoint(group="staff"),
            (Own((1,), None), Own(None, (ip_network("10.9.0.1"),))),
            ("10.0.0.1/32", "10.9.0.1/32"),
        ),
        (Endpoint(segment="lab"), (Own((1, 2), None),), ("10.0.0.0/30", "fd00::/126", "10.0.0.9/32")),
        (Endpoint((ip_network("10.0.0.0/8"),), segment="lab"), None, ("10.0.0.0/30", "10.0.0.9/32")),
        (Endpoint((ip_network("10.0.0.1"),), segment="lab"), None, ("10.0.0.1/32",)),
        (Endpoint(policy="acme"), (Own((1,), None),), ("10.0.0.1/32",)),
        (Endpoint(policy="acm"), (), ()),
    ],
)
def test_known_endpoints(endpoint: Endpoint, own: tuple[Own, ...] | None, remote: tuple[str, ...]) -> None:
    if own is not None:
        assert SELECTOR.own((endpoint,), list(WORLD.parties.values())) == own
    assert tuple(map(str, SELECTOR.remote((endpoint,)) or ())) == remote
