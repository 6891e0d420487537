"""A policy set as plain values for JSON. Pure."""

from __future__ import annotations

from typing import Any

from policies.class_documents import IMPLIED
from policies.classes import code_points
from policies.endpoints import as_written
from policies.model import (
    DEFAULT_MTU,
    Autoscale,
    Bandwidth,
    Direction,
    Link,
    Node,
    Objectives,
    PolicySet,
    Rule,
    Segment,
    Span,
)
from policies.services import service_text


def describe(policies: PolicySet) -> dict[str, Any]:
    """By name (nodes by path): segments, links, services, groups, classes, nodes; `weir policy show --json` prints it.

    Rates are kbit/s and packets/s, sizes bytes, times seconds, shares 0..1; `at` is FILE:LINE:COLUMN, None for what
    nobody wrote; effective_limit_kbps is the least limit from the node to the root; a class's dscp is what it is marked
    with, chosen or not.
    """
    marks = code_points(policies)
    return {
        "segments": {name: _segment(segment) for name, segment in policies.segments.items()},
        "links": {name: _link(link) for name, link in policies.links.items()},
        "services": {
            name: {"matches": [service_text(match) for match in service.matches], "at": str(service.at)}
            for name, service in policies.services.items()
        },
        "groups": {
            name: {"users": sorted(group.users), "at": str(group.at)} for name, group in policies.groups.items()
        },
        "classes": {
            name: {
                "share": own.share,
                "dscp": marks[name],
                "dscp_is_chosen": own.dscp is None,
                "at": None if own.at == IMPLIED else str(own.at),
            }
            for name, own in policies.classes.items()
        },
        "nodes": {path: _node(policies, node) for path, node in policies.nodes.items()},
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "type": segment.type.value,
        "subnets": [str(subnet) for subnet in segment.subnets],
        "uplink": segment.uplink,
        "vlan": segment.vlan,
        "gateways": [str(gateway) for gateway in segment.gateways],
        "addresses": [str(address) for address in segment.addresses],
        "via": [str(router) for router in segment.via],
        "dns": [str(server) for server in segment.dns],
        "mtu": segment.mtu or DEFAULT_MTU,
        "at": str(segment.at),
    }


def _link(link: Link) -> dict[str, Any]:
    hosts = None if link.hosts is None else list(link.hosts)
    return {"capacity_kbps": link.capacity_kbps, "hosts": hosts, "at": str(link.at)}


def _node(policies: PolicySet, node: Node) -> dict[str, Any]:
    congestion = node.congestion
    return {
        "leaf": node.is_leaf,
        "parent": node.parent,
        "children": list(node.children),
        "egress": _bandwidth(policies, node, Direction.EGRESS),
        "ingress": _bandwidth(policies, node, Direction.INGRESS),
        "unmatched": node.unmatched.value,
        "buffer_bytes": _span(node.buffer_bytes),
        "queues": _span(node.queues),
        "cpu": _span(node.cpu),
        "slo": _objectives(node.slo),
        "congestion": None if congestion is None else {"queue": congestion.queue.value, "ecn": congestion.ecn},
        "best_effort": node.best_effort,
        "autoscale": _autoscale(node.autoscale),
        "mandatory": [_rule(rule) for rule in node.mandatory],
        "rules": [_rule(rule) for rule in node.rules],
        "default": [_rule(rule) for rule in node.default],
        "at": str(node.at),
    }


def _bandwidth(policies: PolicySet, node: Node, direction: Direction) -> dict[str, Any]:
    own: Bandwidth = node.bandwidth(direction)
    return {
        "guarantee_kbps": own.guarantee_kbps,
        "limit_kbps": own.limit_kbps,
        "effective_limit_kbps": _least_limit_kbps(policies, node, direction),
        "weight": own.weight,
        "burst_s": own.burst_s,
        "burst_bytes": own.burst_bytes,
        "packets_pps": own.packets_pps,
    }


def _least_limit_kbps(policies: PolicySet, node: Node, direction: Direction) -> int | None:
    limits = [node.bandwidth(direction).limit_kbps]
    while node.parent is not None:
        node = policies.nodes[node.parent]
        limits.append(node.bandwidth(direction).limit_kbps)
    return min((limit for limit in limits if limit is not None), default=None)


def _span(span: Span | None) -> dict[str, float] | None:
    return None if span is None else {"min": span.least, "max": span.most}


def _objectives(slo: Objectives | None) -> dict[str, float | None] | None:
    return None if slo is None else {"latency_s": slo.latency_s, "jitter_s": slo.jitter_s, "loss": slo.loss}


def _autoscale(autoscale: Autoscale | None) -> dict[str, Any] | None:
    if autoscale is None:
        return None
    return {
        "guarantee_kbps": _span(autoscale.guarantee_kbps),
        "up": {"part": autoscale.up.part, "for_s": autoscale.up.for_s},
        "down": {"part": autoscale.down.part, "for_s": autoscale.down.for_s},
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "identity": rule.identity,
        "name": rule.name,
        "action": rule.action.value,
        "directions": sorted(direction.value for direction in rule.directions),
        "from": as_written(rule.sources),
        "to": as_written(rule.destinations),
        "services": [service_text(service) for service in rule.services],
        "service_names": sorted(rule.service_names),
        "class": rule.traffic_class,
        "dscp": rule.dscp,
        "limit_kbps": rule.limit_kbps,
        "packets_pps": rule.packets_pps,
        "log": rule.log,
        "stage": "audit" if rule.audit else "enforce",
        "at": str(rule.at),
    }
