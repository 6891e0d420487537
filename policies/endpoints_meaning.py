"""What the endpoints of rules mean, said plainly: is this one meant by `from` or `to`? Pure.

Part of the oracle (policies.semantics): it shares nothing with the compiler.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policies.identity import APP_LABEL, Identities, Party
from policies.model import Endpoint, IPAddress, IPNetwork, PolicySet
from policies.wording import either

_SHOWN = 3  # of the items of a list that a reason repeats


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a packet, as the VIF that judges it sees it.

    owner: that VIF where this is its own side; None: the other side, of which the address is all that is known.
    """

    address: IPAddress
    owner: Party | None
    policies: PolicySet
    identities: Identities

    def candidates(self) -> tuple[Party | None, ...]:
        """The VIFs that this side can be. None, on the other side, is somebody at the address who is no VIF."""
        if self.owner is not None:
            return (self.owner,)
        return (*(party for party in self.identities.parties.values() if self.address in party.addresses), None)

    def has_user(self, user: str, who: Party | None) -> bool:
        return (who is not None and user in who.users) or self.address in self.identities.addresses.get(user, ())

    def is_in_segment(self, segment: str, who: Party | None) -> bool:
        """A VIF of its own is in one segment, whatever its address; anybody else is in that of the subnet too."""
        if who is not None and who.segment == segment:
            return True
        return self.owner is None and is_in_any(self.address, self.policies.segments[segment].subnets)


def mismatch(endpoints: Sequence[Endpoint] | None, side: Side) -> str | None:
    """Why this side is none of the endpoints, in words; None when it is one of them, or all are meant.

    Raises KeyError for a group or segment that the policy set does not define.
    """
    if endpoints is None:
        return None
    reasons = []
    for endpoint in endpoints:
        reason = _mismatch(endpoint, side)
        if reason is None:
            return None
        reasons.append(reason)
    return "; ".join(_clipped(list(dict.fromkeys(reasons)))) or "it names nothing"


def is_in_any(address: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    """A network holds addresses of its own family alone."""
    return any(address.version == network.version and address in network for network in networks)


def few(texts: Sequence[str]) -> str:
    """("a", "b") -> "a or b"; of a long list the first, and how many more."""
    return either(_clipped(texts))


def _clipped(texts: Sequence[str]) -> list[str]:
    more = len(texts) - _SHOWN
    return [*texts[:_SHOWN], f"{more} more"] if more > 0 else list(texts)


def _mismatch(endpoint: Endpoint, side: Side) -> str | None:
    if endpoint.networks is not None and not is_in_any(side.address, endpoint.networks):
        return f"{side.address} is not in {few([str(network) for network in endpoint.networks])}"
    claims = [list(_claims(endpoint, side, who)) for who in side.candidates()]
    if any(all(holds for _, holds in of_one) for of_one in claims):
        return None
    unbound = _unbound(endpoint, side)
    if unbound is not None:
        return unbound
    hopeless = [same[0][0] for same in zip(*claims, strict=True) if not any(holds for _, holds in same)]
    words = hopeless[0] if hopeless else " and ".join(words for words, _ in claims[0])
    if side.owner is not None:
        return f"VIF {side.owner.name} is not one {words}"
    return f"no VIF {words} has address {side.address}"


def _claims(endpoint: Endpoint, side: Side, who: Party | None) -> Iterator[tuple[str, bool]]:
    """All that the endpoint says of a VIF: in words that follow "VIF", and whether it holds of this one."""
    if endpoint.user is not None:
        yield f"of user {endpoint.user}", side.has_user(endpoint.user, who)
    if endpoint.group is not None:
        users = side.policies.groups[endpoint.group].users
        yield f"of group {endpoint.group}", any(side.has_user(user, who) for user in users)
    if endpoint.app is not None:
        yield f"with app={endpoint.app}", who is not None and (APP_LABEL, endpoint.app) in who.labels
    if endpoint.policy is not None:
        below = who is not None and f"{who.policy}/".startswith(f"{endpoint.policy}/")
        yield f"under policy {endpoint.policy}", below
    if endpoint.vif is not None:
        yield f"named {endpoint.vif}", who is not None and who.name == endpoint.vif
    if endpoint.segment is not None:
        yield f"in segment {endpoint.segment}", side.is_in_segment(endpoint.segment, who)
    for key, value in endpoint.labels:
        yield f"with {key}={value}", who is not None and (key, value) in who.labels


def _unbound(endpoint: Endpoint, side: Side) -> str | None:
    """Which user or group of the endpoint is nowhere."""
    if endpoint.user is not None and not _is_bound(endpoint.user, side.identities):
        return f"user {endpoint.user} is not bound"
    if endpoint.group is not None:
        users = side.policies.groups[endpoint.group].users
        if not any(_is_bound(user, side.identities) for user in users):
            return f"no user of group {endpoint.group} is bound"
    return None


def _is_bound(user: str, identities: Identities) -> bool:
    return bool(identities.addresses.get(user)) or any(user in party.users for party in identities.parties.values())
