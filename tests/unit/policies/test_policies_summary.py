import json

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
            "at": "p.yaml:12:13",
        }
    ]
