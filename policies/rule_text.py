"""A rule in one line, in the language's own words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.endpoints import as_written
from policies.model import Direction, Endpoint, Rule, ServiceMatch
from policies.services import service_text
from policies.units import rate_text

_MOST = 4  # items of a list that a line repeats


def rule_text(rule: Rule) -> str:
    """Like "allow egress to 10.0.0.0/8 service tcp/443 limit 10 mbit"; "allow" alone is everything, both ways."""
    return " ".join([rule.action.value, *_matched(rule), *_done(rule)])


def rate_of_packets_text(pps: int) -> str:
    return f"{pps // 1000} kpps" if pps and pps % 1000 == 0 else f"{pps} pps"


def _matched(rule: Rule) -> Iterator[str]:
    if len(rule.directions) < len(Direction):
        yield " ".join(sorted(direction.value for direction in rule.directions)) or "in no direction"
    for key, endpoints in (("from", rule.sources), ("to", rule.destinations)):
        if endpoints is not None:
            yield f"{key} {_endpoints(endpoints)}"
    if rule.services != (ServiceMatch(),):
        yield f"service {_list([service_text(service) for service in rule.services])}"


def _done(rule: Rule) -> Iterator[str]:
    if rule.traffic_class is not None:
        yield f"class {rule.traffic_class}"
    if rule.dscp is not None:
        yield f"dscp {rule.dscp}"
    if rule.limit_kbps is not None:
        yield f"limit {rate_text(rule.limit_kbps)}"
    if rule.packets_pps is not None:
        yield f"packets {rate_of_packets_text(rule.packets_pps)}"
    if rule.log:
        yield "log"
    if rule.audit:
        yield "stage audit"


def _endpoints(endpoints: tuple[Endpoint, ...]) -> str:
    return _list([_endpoint(written) for written in as_written(endpoints) or ()])


def _endpoint(written: Any) -> str:
    if isinstance(written, str):
        return written
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in written.items()) + "}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {one}" for key, one in value.items()) + "}"
    return _list(value) if isinstance(value, list) else str(value)


def _list(items: list[str]) -> str:
    if len(items) == 1:
        return items[0]
    more = [f"and {len(items) - _MOST} more"] if len(items) > _MOST else []
    return "[" + ", ".join([*items[:_MOST], *more]) + "]"
