"""The number of flow entries that the policy language foretells is that which the compiler makes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.compiler import policy
from policies.expansion import entries
from policies.parser import parse
from tests.support.bridges import Vif, bridge_of
from tests.support.policy_documents import ACTIONS, DIRECTIONS, NETWORKS, SERVICES, text_of

PORTS = st.sampled_from(["0", "80", "80-81", "79-90", "1-65534", "0-65535", "1024-65535"])
RANGES = st.fixed_dictionaries(
    {"proto": st.sampled_from(["tcp", "udp", "sctp"])}, optional={"port": PORTS, "source_port": PORTS}
)
ENDPOINTS = st.lists(NETWORKS | st.just("any"), min_size=1, max_size=4)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "direction": DIRECTIONS,
        "from": ENDPOINTS,
        "to": ENDPOINTS,
        "service": st.lists(SERVICES | RANGES, min_size=1, max_size=4),
    },
)
ALWAYS = 2 * len(("invalid", "error of a connection", "unmatched"))  # entries of a leaf without rules
RULES = st.builds(lambda action, body: {action: body}, ACTIONS, BODIES)


@settings(max_examples=200, deadline=None)
@given(st.lists(RULES, max_size=3))
def test_the_count_is_the_compilers(rules: list[dict[str, object]]) -> None:
    document = {"weir": "1", "services": {"web": ["tcp/80", "tcp/443"]}, "segments": {"s": {"type": "internal"}}}
    document["policies"] = {"p": {"rules": rules} if rules else {}}
    try:
        policies = parse({"p.yaml": text_of(document)})
    except ValueError as refused:
        assert "flow entries" in str(refused)
        return
    counts = [entries(rule) for rule in policies.nodes["p"].rules]
    made = len(list(policy.flows(bridge_of(policies, [Vif(1, "p", ())])))) - ALWAYS
    assert made == sum(counts) if len(counts) < 2 else made <= sum(counts)  # rules may share entries for fragments
