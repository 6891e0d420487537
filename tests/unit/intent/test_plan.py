"""What an apply would change, said before it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controller.intent import plan_views
from controller.intent.errors import Rejected
from controller.intent.numbering import renumber
from controller.intent.plan import Plan, Promise, plan
from ovsdb.rows import Snapshot, VirtualInterface
from policies.errors import PolicyErrors
from policies.model import Direction
from policies.parser import parse
from tests.unit.intent.worlds import vif, world

POLICY = """\
weir: 1
segments: {lab: {type: internal, subnets: [10.30.0.0/24]}, net: {type: bridged, uplink: eth1}}
links: {eth1: {capacity: 100 mbit}}
groups: {staff: [alice]}
classes: {realtime: {dscp: ef, share: 30 %}}
policies:
  acme:
    default:
      - allow: {name: lookups, direction: egress, service: udp/53}
    children:
      web:
        egress: {limit: 30 mbit}
        rules:
          - allow: {name: staff, direction: ingress, from: {group: staff}, service: tcp/443}
          - allow: {name: ping, service: icmp/8}
          - deny: {name: mail, service: tcp/25}
      db: {}
"""
NOW_S = 1000.0


def in_force(text: str, *vifs: VirtualInterface) -> Snapshot:
    numbers, following = renumber(parse({"p.yaml": text}), {}, {})
    snapshot = world(*vifs, files={"p.yaml": text}, numbers=numbers, next_number=following)
    users = {"a": "alice"}
    labelled = {
        name: replace(one, labels={"user": users.get(name, "bob")}) for name, one in snapshot.interfaces.items()
    }
    return replace(snapshot, interfaces=labelled)


WEB = vif("a", 2, policy="acme/web", ofport=2, state="ready")
DB = vif("d", 3, policy="acme/db", ofport=3, state="ready")


def changing(*pairs: tuple[str, str]) -> Plan:
    text = POLICY
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return plan({"p.yaml": text}, in_force(POLICY, WEB, DB), NOW_S)


def test_the_same_is_no_change() -> None:
    found = changing()
    assert not found.is_change and not found.rules and not found.definitions and found.vifs == ()
    assert list(plan_views.lines(found, True)) == ["no change"]
    body = plan_views.document(found)
    assert (body["changes"], body["refused"]) == (False, False)
    assert body["chassis"]["h1"]["entries"] == {
        "added": 0, "changed": 0, "removed": 0, "lines": {"added": [], "changed": [], "removed": []},
    }  # fmt: skip


def test_a_comment_changes_texts_alone() -> None:
    found = plan({"p.yaml": "# mine\n" + POLICY}, in_force(POLICY, WEB, DB), NOW_S)
    assert found.is_change and not found.rules and not found.definitions and found.vifs == ()
    assert not any(one.changes for one in found.chassis.values())


def test_rules_are_added_changed_moved_and_removed() -> None:
    found = changing(
        ("service: tcp/443", "service: tcp/8443"),
        ("          - deny: {name: mail, service: tcp/25}\n", ""),
        ("      db: {}", "      db: {rules: [allow: {name: sql, service: tcp/5432}]}"),
    )
    assert list(found.rules.added) == ["acme/db:sql"]
    assert list(found.rules.removed) == ["acme/web:mail"]
    assert list(found.rules.changed) == ["acme/web:staff"] and not found.rules.moved
    assert found.vifs == ("a", "d")
    lines = list(plan_views.lines(found, False))
    assert lines[0] == "+ rule acme/db:sql  p.yaml:16:20  allow service tcp/5432"
    assert lines[1].startswith(
        "~ rule acme/web:staff  p.yaml:14:13  allow ingress from {group: staff} service tcp/8443"
    )
    assert lines[2] == "    was: allow ingress from {group: staff} service tcp/443"
    assert lines[3].startswith("- rule acme/web:mail")


def test_a_rule_that_only_moves_is_told_so() -> None:
    ping = "          - allow: {name: ping, service: icmp/8}\n"
    mail = "          - deny: {name: mail, service: tcp/25}\n"
    found = changing((ping + mail, mail + ping))
    assert not found.rules.changed and len(found.rules.moved) == 1
    assert found.vifs == ("a",)


def test_a_change_of_a_group_touches_the_vifs_whose_rules_name_it() -> None:
    found = changing(("groups: {staff: [alice]}", "groups: {staff: [alice, bob]}"))
    assert not found.rules and list(found.definitions.modify) == [("group", "staff")]
    assert found.vifs == ("a",)
    assert found.chassis["h1"].changes.flows


def test_a_change_of_a_limit_shows_before_and_after_meters_and_queues() -> None:
    found = changing(("limit: 30 mbit", "limit: 20 mbit"))
    assert found.promises == {("a", Direction.EGRESS): (Promise(0, 30_000), Promise(0, 20_000))}
    assert list(found.chassis["h1"].changes.meters.modify) == [2]
    assert [key.place for key in found.chassis["h1"].queues.modify] == ["instance"]
    lines = list(plan_views.lines(found, True))
    assert "~ VIF a egress: guarantee 0 kbit, limit 30 mbit -> guarantee 0 kbit, limit 20 mbit" in lines
    assert any(line.startswith("  + meter=2,kbps") for line in lines)
    body = plan_views.document(found)
    assert body["chassis"]["h1"]["meters"]["changed"] == 1
    assert body["bandwidth"][0]["after"] == {"guarantee_kbps": 0, "limit_kbps": 20_000}


def queue_lines(found: Plan, word: str) -> list[Any]:
    lines: list[Any] = plan_views.document(found)["chassis"]["h1"]["queues"]["lines"][word]
    return lines


def test_a_change_of_a_buffer_is_one_of_the_queues_that_have_it() -> None:
    found = changing(("limit: 30 mbit}\n", "limit: 30 mbit}\n        buffer: {min: 1 kb, max: 64 kb}\n"))
    assert found.vifs == ("a",) and not found.chassis["h1"].changes
    (both,) = queue_lines(found, "changed")
    assert both["before"] == "queue instance a guarantee 30 mbit limit 30 mbit weight 1"
    assert both["after"] == f"{both['before']} buffer 64000 bytes"


def test_classes_divide_a_buffer_and_share_the_sort_of_queue() -> None:
    text = POLICY.replace("web:\n", "web:\n        ingress: {limit: 10 mbit}\n").replace(
        "service: tcp/443}", "service: tcp/443, class: realtime}"
    )
    red = text.replace("web:\n", "web:\n        buffer: 100 kb\n        congestion: {queue: red, ecn: true}\n")
    found = plan({"p.yaml": red}, in_force(text, WEB, DB), NOW_S)
    assert found.vifs == ("a",)
    assert {both["after"] for both in queue_lines(found, "changed")} == {
        "queue instance a guarantee 30 mbit limit 30 mbit weight 1 buffer 100000 bytes red ecn",
        "queue port a guarantee 10 mbit limit 10 mbit weight 1 buffer 100000 bytes red ecn",
        "queue port a class realtime guarantee 3 mbit weight 0.3 buffer 30000 bytes red ecn",
        "queue port a class normal guarantee 7 mbit weight 0.7 buffer 70000 bytes red ecn",
    }
    assert [line.startswith("  + queue") for line in plan_views.lines(found, True)].count(True) == 4


def test_classes_mark_and_queue() -> None:
    found = changing(("service: tcp/443}", "service: tcp/443, class: realtime}"))
    assert found.vifs == ("a",)
    assert list(found.rules.changed) == ["acme/web:staff"]


@pytest.mark.parametrize(
    ("files", "kind"),
    [({"p.yaml": "weir: 1\n"}, Rejected), ({"p.yaml": "weir: 2\n"}, PolicyErrors)],
)
def test_what_apply_refuses_is_refused(files: Mapping[str, str], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        plan(files, in_force(POLICY, WEB), NOW_S)


def test_what_is_not_enforced_is_a_refusal_among_the_findings() -> None:
    found = changing(("db: {}", "db: {}\n      rest: {queues: {min: 1, max: 2}}"))
    assert [finding.path for finding in found.refusals] == ["policies.acme.children.rest.queues"]
    assert plan_views.document(found)["refused"] is True


def test_the_first_policy_of_all() -> None:
    found = plan({"p.yaml": POLICY}, world(policy_version=0, files={}), NOW_S)
    assert found.is_change and "acme/web:staff" in found.rules.added
    assert ("segment", "lab") in found.definitions.add and ("class", "normal") not in found.definitions.add


MOVED = """\
weir: 1
segments: {net: {type: bridged, uplink: eth1}}
links: {eth1: {capacity: 100 mbit}}
policies:
  web:
    egress: {guarantee: 10 mbit}
    autoscale: {guarantee: {min: 5 mbit, max: 40 mbit}, up: 90 % for 5 s, down: 40 % for 30 s}
"""


def test_of_a_guarantee_that_was_moved_it_tells_what_is_in_force() -> None:
    snapshot = in_force(MOVED, vif("a", 2, policy="web", segment="net", ofport=2, scaled={"egress_kbps": 30_000}))
    found = plan({"p.yaml": MOVED.replace("max: 40 mbit", "max: 20 mbit")}, snapshot, NOW_S)
    assert found.promises == {("a", Direction.EGRESS): (Promise(30_000, None), Promise(20_000, None))}
    without = "\n".join(line for line in MOVED.splitlines() if "autoscale" not in line)
    found = plan({"p.yaml": without}, snapshot, NOW_S)
    assert found.promises == {("a", Direction.EGRESS): (Promise(30_000, None), Promise(10_000, None))}
