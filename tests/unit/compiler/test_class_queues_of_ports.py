"""Table output: the queue that a packet goes to where DPDK polices, by the code point that it leaves with."""

from __future__ import annotations

from dataclasses import replace

from controller.compiler.compile import compile_bridge
from controller.dataplane.actions import Output, SetQueue
from controller.dataplane.pipeline import OUTPUT, check
from controller.dataplane.protocols import ETH_IPV4, ETH_IPV6
from controller.dataplane.registers import TARGET_VIF
from tests.support.bridges import Vif, bridge

POLICY = "weir: 1\nsegments: {s: {type: internal}}\npolicies: {a: {unmatched: allow}}\n"


def test_each_code_point_of_either_family_has_its_queue_and_the_rest_has_none() -> None:
    plain = bridge(POLICY, Vif(1, "a", ("10.0.0.1/24",)), Vif(2, "a", ("10.0.0.2/24",)))
    divided = replace(plain.vifs[0], class_queues=((46, 47), (10, 47), (8, 9)))
    state = compile_bridge(replace(plain, vifs=(divided, *plain.vifs[1:])))
    assert check(state) == []
    found = {}
    for key, body in state.flows.items():
        fields = {name: value for name, value, _ in key.match.fields}
        if key.table == OUTPUT.id and fields.get(TARGET_VIF):
            found[fields[TARGET_VIF], fields.get("eth_type"), fields.get("ip_dscp")] = body.instructions.apply
    out = {one.number: Output(one.ofport) for one in plain.vifs}
    queued = {
        (1, kind, dscp): (SetQueue(queue), out[1])
        for kind in (ETH_IPV4, ETH_IPV6)
        for dscp, queue in divided.class_queues
    }
    assert found == {(1, None, None): (out[1],), (2, None, None): (out[2],), **queued}
