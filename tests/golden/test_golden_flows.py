"""What the examples compile to, small enough to review. A mismatch leaves NAME.actual beside the golden file.

When the new text is right, move the .actual file over the golden one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.compiler.compile import compile_bridge
from controller.compiler.meters import egress_meter
from controller.dataplane.entries import SwitchState
from controller.dataplane.pipeline import BY_ID, check
from controller.dataplane.text import render
from policies.parser import parse
from tests.support.bridges import Vif, bridge, bridge_of, identities_of

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
BRIDGES = {
    "three-tenants": (
        Vif(1, "red", ("10.1.0.11/24", "fd00:1::11/64"), "office", egress_meter(90_000, None, shaped=True)),
        Vif(2, "blue", ("10.1.0.12/24",), "office", egress_meter(50_000, 1_000, shaped=False)),
    ),
    "company": (
        Vif(1, "company/web", ("10.20.0.2/24", "fd00:20::2/64"), "front"),
        Vif(2, "company/staff/guest", (), "back"),
    ),
    "routed": (
        Vif(1, "shop/web", ("10.40.0.11/24", "fd00:40::11/64"), "front", egress_meter(80_000, None, shaped=True)),
        Vif(2, "shop/db", ("10.41.0.11/24",), "rear"),
        Vif(3, "desk", ("192.0.2.7/24",), "office"),
    ),
}

UNCHANGED = ("antispoof", "host_protocols", "egress_conntrack", "ingress_conntrack")  # by rules


@pytest.mark.parametrize("name", BRIDGES)
def test_examples_compile_to_what_they_did(name: str) -> None:
    compare(name, compile_bridge(bridge((EXAMPLES / f"{name}.yaml").read_text(), *BRIDGES[name])))


def test_rules_compile_to_what_they_did() -> None:
    """All that rules come to; of the rest of the pipeline what leads to them."""
    vifs = (
        Vif(1, "acme/web", ("10.0.0.1/24",), "lab", users=frozenset({"bob"})),
        Vif(2, "acme/db", ("10.0.0.2/24", "fd00::2/64"), "lab", labels=(("user", "alice"),)),
    )
    policies = parse({"rules.yaml": (HERE / "rules.yaml").read_text()})
    whole = compile_bridge(bridge_of(policies, vifs, identities_of(vifs, {"alice": ["192.0.2.9"]})))
    shown = {key: body for key, body in whole.flows.items() if BY_ID[key.table].name not in UNCHANGED}
    assert check(whole) == []
    compare("rules", SwitchState(shown, whole.meters))


def compare(name: str, state: SwitchState) -> None:
    assert check(state) == []
    golden, actual = HERE / f"{name}.flows", HERE / f"{name}.flows.actual"
    text = render(state)
    if golden.exists() and golden.read_text() == text:
        actual.unlink(missing_ok=True)
        return
    actual.write_text(text)
    pytest.fail(f"{golden.name} differs: compare it with {actual.name}, and move that over it if it is right")
