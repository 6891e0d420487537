"""The number of flow entries that the policy language foretells is never below that which the compiler makes."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from controller.compiler import policy
from controller.compiler.parts import Memo
from controller.compiler.survey import survey
from policies.expansion import entries
from policies.parser import parse
from tests.support.bridges import Vif, bridge_of
from tests.support.policy_documents import ACTIONS, DIRECTIONS, NETWORKS, SERVICES, text_of

PORTS = st.sampled_from(["0", "80", "80-81", "79-90", "1-65534", "0-65535", "1024-65535"])
RANGES = st.fixed_dictionaries(
    {"proto": st.sampled_from(["tcp", "udp", "sctp"])}, optional={"port": PORTS, "source_port": PORTS}
)
ENDPOINTS = st.lists(NETWORKS | st.just("any"), min_size=1, max_size=4)  # how many a user has is known at run time
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "direction": DIRECTIONS,
        "from": ENDPOINTS,
        "to": ENDPOINTS,
        "service": st.lists(SERVICES | RANGES, min_size=1, max_size=4),
        "stage": st.sampled_from(["audit", "enforce"]),
    },
)
RULES = st.builds(lambda action, body: {action: body}, ACTIONS, BODIES)


@settings(max_examples=200, deadline=None)
@given(RULES)
def test_a_rule_makes_no_more_entries_than_foretold(rule: dict[str, object]) -> None:
    document = {"weir": "1", "services": {"web": ["tcp/80", "tcp/443"]}, "segments": {"s": {"type": "internal"}}}
    document["policies"] = {"p": {"rules": [rule]}}
    policies = parse({"p.yaml": text_of(document)})
    foretold = entries(policies.nodes["p"].rules[0])
    bridge = bridge_of(policies, [Vif(1, "p", ())])
    of_rule = [part for part in policy.parts(bridge, survey(bridge, Memo())) if part.key[0] in ("rule", "audited")]
    made = sum(len(list(part.make())) for part in of_rule)
    assert len(of_rule) == 1 and made <= foretold
    event("exactly" if made == foretold else "fewer")
