"""Nodes and versions of the policy as the commands show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from controller.cli.times import local, moment
from ovsdb.rows import PolicyVersion, Snapshot
from policies.parser import parse
from policies.resolve import ancestry

NODE_COLUMNS = ("path", "kind", "vifs", "at")
VERSION_COLUMNS = ("version", "in force", "applied at", "by", "reason", "files")


def nodes(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Those of the policy in force, parents before children. vifs: at the leaf, or below the inner node together."""
    policies = parse(snapshot.files)
    vifs = Counter(
        node.path
        for vif in snapshot.interfaces.values()
        if vif.policy in policies.nodes
        for node in ancestry(policies, vif.policy)
    )
    return [
        {"path": path, "leaf": node.is_leaf, "vifs": vifs[path], "at": str(node.at)}
        for path, node in policies.nodes.items()
    ]


def node_row(node: Mapping[str, Any]) -> list[str]:
    return [node["path"], "leaf" if node["leaf"] else "inner", str(node["vifs"]), node["at"]]


def version(one: PolicyVersion, in_force: int) -> dict[str, Any]:
    """files: name -> SHA-256 of its text."""
    return {
        "version": one.version,
        "in_force": one.version == in_force,
        "applied_at": moment(one.applied_at_s),
        "applied_by": one.applied_by,
        "reason": one.reason,
        "files": dict(sorted(one.files.items())),
    }


def version_row(one: PolicyVersion, in_force: int) -> list[str]:
    mark = "yes" if one.version == in_force else ""
    applied = (local(one.applied_at_s), one.applied_by, one.reason or "-")
    return [str(one.version), mark, *applied, ", ".join(sorted(one.files))]
