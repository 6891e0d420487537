import json
from pathlib import Path

from policies.parser import parse
from policies.summary import describe

TEXT = """\
weir: 1
segments: {office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}}
links: {wan: {capacity: 100 mbit, hosts: [h1]}}
policies:
  t:
    egress: {limit: 50 mbit}
    children:
      leaf:
        egress: {guarantee: 10 mbit, burst: 20 ms}
        ingress: {limit: 5 mbit, weight: 3}
        rules:
          - allow:
              direction: ingress
              name: r
              from: 10.0.0.0/8
              service: [tcp/80-81, {proto: udp, source_port: 53}, icmp/8/0, ip/47, any]
"""


def test_a_policy_set_as_plain_values():
    described = describe(parse({"p.yaml": TEXT}))
    assert json.loads(json.dumps(described)) == described
    assert described["segments"]["office"] == {
        "type": "bridged",
        "subnets": ["10.1.0.0/24"],
        "uplink": "wan",
        "vlan": None,
        "gateways": [],
        "addresses": [],
        "via": [],
        "dns": [],
        "mtu": 1500,
        "at": "p.yaml:2:12",
    }
    assert described["links"]["wan"] == {"capacity_kbps": 100_000, "hosts": ["h1"], "at": "p.yaml:3:9"}
    assert list(described["nodes"]) == ["t", "t/leaf"]
    leaf = described["nodes"]["t/leaf"]
    assert (leaf["leaf"], leaf["parent"], leaf["unmatched"], leaf["at"]) == (True, "t", "deny", "p.yaml:8:7")
    assert leaf["egress"] == {
        "guarantee_kbps": 10_000,
        "limit_kbps": None,
        "effective_limit_kbps": 50_000,
        "weight": 1.0,
        "burst_s": 0.02,
        "burst_bytes": None,
        "packets_pps": None,
    }
    assert leaf["ingress"]["effective_limit_kbps"] == 5000
    assert leaf["rules"] == [
        {
            "identity": "t/leaf:r",
            "name": "r",
            "action": "allow",
            "directions": ["ingress"],
            "from": ["10.0.0.0/8"],
            "to": None,
            "services": ["tcp/80-81", "udp from 53", "icmp/8/0", "ip/47", "any"],
            "service_names": [],
            "class": None,
            "dscp": None,
            "limit_kbps": None,
            "packets_pps": None,
            "log": False,
            "stage": "enforce",
            "at": "p.yaml:12:13",
        }
    ]


def test_all_there_is_to_say():
    path = Path(__file__).parents[3] / "examples" / "whole-language.yaml"
    described = describe(parse({"w": path.read_text()}))
    assert json.loads(json.dumps(described)) == described
    assert described["services"]["ping"] == {"matches": ["icmp/8/0", "icmp6/128"], "at": "w:18:3"}
    assert described["groups"]["engineering"] == {"users": ["alice", "bob"], "at": "w:24:3"}
    assert list(described["classes"]) == ["realtime", "normal", "bulk"]
    assert described["classes"]["normal"] == {"share": 0.6, "dscp": 3, "dscp_is_chosen": True, "at": "w:29:3"}
    assert described["segments"]["edge"]["addresses"] == ["192.0.2.2/24"]
    web = described["nodes"]["acme/web"]
    assert web["egress"]["packets_pps"] == 200_000
    assert web["buffer_bytes"] == {"min": 65536, "max": 65536}
    assert web["slo"] == {"latency_s": 0.005, "jitter_s": 0.002, "loss": 0.001}
    assert web["congestion"] == {"queue": "fq_codel", "ecn": True}
    assert web["autoscale"]["guarantee_kbps"] == {"min": 50_000, "max": 200_000}
    assert web["autoscale"]["up"] == {"part": 0.9, "for_s": 5.0}
    by_name = {rule["name"]: rule for rule in web["rules"]}
    assert by_name["staff"]["from"] == [{"group": "engineering"}] and by_name["staff"]["service_names"] == ["https"]
    assert by_name["alice-only"]["to"] == [{"cidr": ["10.41.0.0/25"], "segment": "back"}]
    assert by_name["tiers"]["to"] == ["10.40.0.9/32", {"label": {"tier": "cache", "zone": "a"}}, {"vif": "cache-1"}]
    assert (by_name["backups"]["class"], by_name["backups"]["dscp"]) == ("bulk", 10)
    assert (by_name["visitors"]["limit_kbps"], by_name["visitors"]["packets_pps"]) == (50_000, 20_000)
    assert (by_name["not-inside"]["log"], described["nodes"]["acme"]["mandatory"][1]["stage"]) == (True, "audit")


def test_the_class_that_nobody_wrote():
    classes = describe(parse({}))["classes"]
    assert classes == {"normal": {"share": 1.0, "dscp": 3, "dscp_is_chosen": True, "at": None}}
