"""Which uplink what a VIF sends outside leaves by. Pure."""

from __future__ import annotations

from policies.model import PolicySet, Segment, SegmentType


def ways_out(policies: PolicySet) -> list[Segment]:
    """Routed segments through whose uplink the router that all routed segments share reaches the outside, by name."""
    routed = (own for own in policies.segments.values() if own.type is SegmentType.ROUTED)
    return sorted((own for own in routed if own.uplink is not None), key=lambda own: own.name)


def outward_uplink(policies: PolicySet, segment: str) -> str | None:
    """The uplink of a VIF in this segment, None: it has none, or there is no such segment.

    Of several ways out of the router it is the one with a next router, first for IPv4: by it go all destinations but
    those that are on another uplink itself.
    """
    own = policies.segments.get(segment)
    if own is None or own.type is not SegmentType.ROUTED:
        return own.uplink if own is not None else None
    found = ways_out(policies)
    found.sort(key=lambda way: min((router.version for router in way.via), default=9))
    return found[0].uplink if found else None
