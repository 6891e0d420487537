"""A policy set as plain values for JSON. Pure."""

from __future__ import annotations

from typing import Any

from policies.model import Direction, Node, PolicySet, Rule
from policies.services import service_text


def describe(policies: PolicySet) -> dict[str, Any]:
    """{"segments": {name: ...}, "links": {uplink: ...}, "nodes": {path: ...}}, as `weir policy show --json` prints it.

    Rates are kbit/s, `at` is FILE:LINE:COLUMN, and effective_limit_kbps is the least limit from the node to the root.
    """
    return {
        "segments": {
            segment.name: {
                "type": segment.type.value,
                "subnets": [str(subnet) for subnet in segment.subnets],
                "uplink": segment.uplink,
                "vlan": segment.vlan,
                "at": str(segment.at),
            }
            for segment in policies.segments.values()
        },
        "links": {
            link.uplink: {
                "capacity_kbps": link.capacity_kbps,
                "hosts": None if link.hosts is None else list(link.hosts),
                "at": str(link.at),
            }
            for link in policies.links.values()
        },
        "nodes": {node.path: _node(policies, node) for node in policies.nodes.values()},
    }


def _node(policies: PolicySet, node: Node) -> dict[str, Any]:
    return {
        "leaf": node.is_leaf,
        "parent": node.parent,
        "children": list(node.children),
        "egress": _bandwidth(policies, node, Direction.EGRESS),
        "ingress": _bandwidth(policies, node, Direction.INGRESS),
        "unmatched": node.unmatched.value,
        "mandatory": [_rule(rule) for rule in node.mandatory],
        "rules": [_rule(rule) for rule in node.rules],
        "default": [_rule(rule) for rule in node.default],
        "at": str(node.at),
    }


def _bandwidth(policies: PolicySet, node: Node, direction: Direction) -> dict[str, Any]:
    own = node.bandwidth(direction)
    return {
        "guarantee_kbps": own.guarantee_kbps,
        "limit_kbps": own.limit_kbps,
        "effective_limit_kbps": _least_limit_kbps(policies, node, direction),
        "weight": own.weight,
        "burst_s": own.burst_s,
        "burst_bytes": own.burst_bytes,
    }


def _least_limit_kbps(policies: PolicySet, node: Node, direction: Direction) -> int | None:
    limits = [node.bandwidth(direction).limit_kbps]
    while node.parent is not None:
        node = policies.nodes[node.parent]
        limits.append(node.bandwidth(direction).limit_kbps)
    return min((limit for limit in limits if limit is not None), default=None)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "identity": rule.identity,
        "name": rule.name,
        "action": rule.action.value,
        "directions": sorted(direction.value for direction in rule.directions),
        "from": None if rule.sources is None else [str(network) for network in rule.sources],
        "to": None if rule.destinations is None else [str(network) for network in rule.destinations],
        "services": [service_text(service) for service in rule.services],
        "at": str(rule.at),
    }
