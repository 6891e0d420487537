"""What the meters of rules have cut, or would have cut where the rule is under audit. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from controller.dataplane.entries import SwitchState
from controller.dataplane.meter_ids import RULE_METERS
from controller.dataplane.pipeline import EGRESS_PACKETS, EGRESS_VERDICT, INGRESS_PACKETS, INGRESS_VERDICT

Place = tuple[int, int]  # verdict table and cookie
_VERDICT_OF = {
    EGRESS_VERDICT.id: EGRESS_VERDICT.id,
    EGRESS_PACKETS.id: EGRESS_VERDICT.id,
    INGRESS_VERDICT.id: INGRESS_VERDICT.id,
    INGRESS_PACKETS.id: INGRESS_VERDICT.id,
}


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes. carried: what meters had cut before they were written anew."""

    seen: int
    carried: int = 0

    @property
    def bytes(self) -> int:
        return self.seen + self.carried


def meters_by_place(state: SwitchState) -> Mapping[Place, tuple[int, ...]]:
    """The ids of a rule's meters, of its bits and of its packets, for a VIF."""
    found: dict[Place, tuple[int, ...]] = defaultdict(tuple)
    for key, body in state.flows.items():
        verdict, meter_id = _VERDICT_OF.get(key.table), body.instructions.meter_id
        if verdict is not None and meter_id is not None and meter_id in RULE_METERS:
            found[verdict, body.cookie] += (meter_id,)
    return dict(found)


def after(before: Cut | None, seen: int) -> Cut:
    """A figure that fell began anew."""
    if before is None:
        return Cut(seen)
    return Cut(seen, before.bytes if seen < before.seen else before.carried)
