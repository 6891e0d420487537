"""The two sides that judge a packet, as tables and registers: the sender's, then the receiver's."""

from __future__ import annotations

from dataclasses import dataclass

from controller.dataplane import pipeline
from controller.dataplane.pipeline import Table
from controller.dataplane.registers import SOURCE_PATH, SOURCE_VIF, TARGET_PATH, TARGET_VIF
from policies.model import Direction


@dataclass(frozen=True, slots=True)
class Side:
    direction: Direction
    vif: str  # register of the judging VIF
    path: tuple[str, ...]  # registers of its nodes
    policy: Table
    audit: Table
    verdict: Table
    packets: Table
    commit: Table


EGRESS = Side(
    Direction.EGRESS, SOURCE_VIF, SOURCE_PATH, pipeline.EGRESS_POLICY, pipeline.EGRESS_AUDIT, pipeline.EGRESS_VERDICT,
    pipeline.EGRESS_PACKETS, pipeline.EGRESS_COMMIT,
)  # fmt: skip
INGRESS = Side(
    Direction.INGRESS, TARGET_VIF, TARGET_PATH, pipeline.INGRESS_POLICY, pipeline.INGRESS_AUDIT,
    pipeline.INGRESS_VERDICT, pipeline.INGRESS_PACKETS, pipeline.INGRESS_COMMIT,
)  # fmt: skip
SIDES = {Direction.EGRESS: EGRESS, Direction.INGRESS: INGRESS}
OPPOSITE = {Direction.EGRESS: INGRESS, Direction.INGRESS: EGRESS}
