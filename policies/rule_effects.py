"""What a rule does beside its verdict, as written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from policies import units
from policies.dscp import code_point
from policies.errors import BadValue
from policies.grammar import STAGE
from policies.model import Action
from policies.names import Names
from policies.reader import Reader
from policies.source import Tree
from policies.wording import quoted

_OF_WHAT_PASSES = ("class", "dscp", "limit", "packets")


@dataclass(frozen=True, slots=True)
class Effects:
    """Fields of a Rule of the same names."""

    log: bool
    audit: bool
    traffic_class: str | None = None
    dscp: int | None = None
    limit_kbps: int | None = None
    packets_pps: int | None = None


@dataclass(frozen=True, slots=True)
class EffectsReader:
    reader: Reader
    names: Names

    def read(self, action: Action, fields: Mapping[str, Tree]) -> Effects:
        """Class, mark, rates, log and stage, out of the fields of a rule's body."""
        reader = self.reader
        log = bool("log" in fields and reader.flag(fields["log"]))
        audit = "stage" in fields and reader.word(fields["stage"], STAGE) == "audit"
        keys = [key for key in _OF_WHAT_PASSES if key in fields]
        if keys and action is Action.ALLOW:
            return self._of_what_passes(Effects(log, audit), fields)
        for key in keys:
            problem = f"'{key}' is about what passes, and a rule that says '{action.value}' lets nothing pass"
            reader.problems.add(fields[key].place, problem, "Remove it, or make the rule 'allow'")
        return Effects(log, audit)

    def _of_what_passes(self, effects: Effects, fields: Mapping[str, Tree]) -> Effects:
        reader = self.reader
        traffic_class = self.names.read(fields["class"], "class") if "class" in fields else None
        dscp = reader.value(fields["dscp"], code_point) if "dscp" in fields else None
        if dscp is not None and (traffic_class is not None or "class" not in fields):
            self.names.note_mark(dscp, traffic_class, fields["dscp"].place)
        return replace(
            effects,
            traffic_class=traffic_class,
            dscp=dscp,
            limit_kbps=reader.value(fields["limit"], _limit) if "limit" in fields else None,
            packets_pps=reader.value(fields["packets"], _packets) if "packets" in fields else None,
        )


def _limit(text: str) -> int:
    return _above_zero(units.rate_kbps(text), text)


def _packets(text: str) -> int:
    return _above_zero(units.packets_per_s(text), text)


def _above_zero(rate: int, text: str) -> int:
    if rate == 0:
        raise BadValue(f"{quoted(text)} lets nothing pass", "Write a rate above 0, or make the rule 'deny'")
    return rate
