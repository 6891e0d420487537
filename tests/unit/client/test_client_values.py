from __future__ import annotations

import os
import pwd
import subprocess
import sys
from typing import Any

import pytest

from controller.client.places import Place, binding_of, group_id, numbered, user_id
from controller.client.values import Demand, Flow, Path, check_types, own, traffic
from controller.host.process import start_time
from controller.intent.errors import Rejected
from controller.intent.views import vif_document
from controller.intent.vif_change import VifChange
from controller.intent.vif_checks import VifRequest
from controller.system.errors import SystemFault, WrongRequest
from policies.own_numbers import Own
from policies.parser import parse
from tests.unit.intent.worlds import FILES, vif, world


def test_a_place_becomes_a_binding() -> None:
    me = os.getpid()
    for place, binding in (
        (Place(), {}),
        (Place(netns="red"), {"netns": "red"}),
        (Place(netns=""), {}),
        (Place(container="c1"), {"container": "c1"}),
        (Place(container="c1", runtime="podman"), {"container": "c1", "runtime": "podman"}),
        (Place(pid=me), {"pid": str(me), "started": str(start_time(me))}),
    ):
        assert binding_of(place) == binding
    for place, words in (
        (Place(netns="a", container="b"), "a VIF has one place"),
        (Place(runtime="podman"), "Give the container"),
    ):
        with pytest.raises(WrongRequest, match=words):
            binding_of(place)
    with pytest.raises(SystemFault, match="there is no such process"):
        binding_of(Place(pid=2**22 + 1))


def test_users_and_groups_are_numbers() -> None:
    assert (user_id("root"), group_id("root"), user_id("0107"), group_id("7")) == ("0", "0", "107", "7")
    with pytest.raises(WrongRequest, match="there is no user 'nobody at all' on this machine"):
        user_id("nobody at all")


def test_options_may_name_users_and_groups() -> None:
    assert numbered({"owner": "nobody", "queues": "2"}) == {"owner": str(pwd.getpwnam("nobody").pw_uid), "queues": "2"}
    assert numbered({"socket_group": "root", "owner": None}) == {"socket_group": "0", "owner": None}


WEB: dict[str, Any] = {"name": "web", "policy": "p"}


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        (VifRequest(**WEB), []),
        (VifRequest(**WEB, addresses=("10.0.0.1",), labels={"a": "b"}), []),
        (VifRequest(**WEB, labels={"a": 1}), ["VIF 'web': labels: 1 of 'a' is no text. Give a str."]),  # type: ignore
        (VifRequest(**WEB, options={"queues": 2}), ["VIF 'web': options: 2 of 'queues' is no text. Give a str."]),  # type: ignore
        (VifRequest(**WEB, options={"queues": None}), ["VIF 'web': options: None of 'queues' is no text. Give a str."]),  # type: ignore
        (
            VifRequest(**WEB, addresses="10.77.0.50"),  # type: ignore
            ["VIF 'web': addresses: '10.77.0.50' is no list. Give a list of texts, as in ['192.0.2.5']."],
        ),
        (
            VifRequest(**WEB, addresses=(5,), mac=7),
            ["VIF 'web': mac: 7 is no text. Give a str.", "VIF 'web': addresses"],
        ),  # type: ignore
        (VifRequest("web", None), ["VIF 'web': policy: None is no text."]),  # type: ignore
        (VifRequest(**WEB, labels=["a=b"]), ["VIF 'web': labels: ['a=b'] is no mapping."]),  # type: ignore
        (VifRequest(**WEB, egress="limit=5 mbit"), ["VIF 'web': egress: 'limit=5 mbit' is no Own."]),  # type: ignore
        (VifChange(), []),
        (VifChange(labels={"a": None}, options={"queues": None}, addresses=()), []),
        (VifChange(binding={"netns": None}), ["binding: None of 'netns' is no text."]),  # type: ignore
        (VifChange(addresses="10.77.0.50"), ["addresses: '10.77.0.50' is no list."]),  # type: ignore
    ],
)
def test_what_is_no_text_is_said(asked: VifRequest | VifChange, lines: list[str]) -> None:
    if not lines:
        check_types(asked)
        return
    with pytest.raises(Rejected) as rejected:
        check_types(asked)
    for line, start in zip(rejected.value.lines, lines, strict=True):
        assert line.startswith(start)


def test_a_demand_may_be_written() -> None:
    assert own("limit=5 mbit", "egress") == own(Own(None, 5000), "egress") == Own(None, 5000)
    assert own(Demand().egress, "egress") is None
    with pytest.raises(Rejected, match="ingress: '5 mbit' is neither a guarantee nor a limit"):
        own("5 mbit", "ingress")


def test_figures_are_typed() -> None:
    path = {"latency_ms": {"p50": 1.0, "p99": 2.0}, "jitter_ms": 0.5, "loss": 0.25, "probes": 9}
    figures = {
        "a": {
            "egress": {"offered_kbps": 9, "allocated_kbps": 8, "passed_kbps": 7, "dropped_kbps": 2},
            "path": path,
        }
    }
    document = vif_document("a", world(vif("a", 2, state="ready")), parse(FILES), figures)
    seen = traffic(document, 5.0)
    assert (seen.name, seen.at_s, seen.state, seen.error) == ("a", 5.0, "ready", None)
    assert seen.egress == Flow(20_000, 30_000, 9, 8, 7, 2)
    assert seen.ingress == Flow(0, 40_000)
    assert seen.path == Path(1.0, 2.0, 0.5, 0.25)
    assert traffic(vif_document("a", world(vif("a", 2)), parse(FILES)), 5.0).path == Path()


def test_the_client_needs_no_library_of_the_command_line() -> None:
    said = "import sys, weir; print([name for name in ('typer', 'rich', 'eventlet', 'ryu') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_public_is_there() -> None:
    import weir

    assert all(hasattr(weir, name) for name in weir.__all__)
    assert all(issubclass(one, Exception) for one in weir.FAILURES)


def test_without_a_system_it_says_so(tmp_path: os.PathLike[str]) -> None:
    import weir

    with pytest.raises(weir.SystemFault, match="no system runs in"), weir.Weir(str(tmp_path)):
        pass
