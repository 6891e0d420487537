from __future__ import annotations

import pytest

from controller.cli import vif_requests
from controller.cli.progress import Lines, progress
from controller.cli.vif_requests import VifRequest
from controller.cli.vif_views import attachment_text
from controller.intent.hypervisor import Attachment
from controller.system.errors import SystemFault, WrongRequest

ONE = VifRequest("web", "acme/web", binding={"netns": "ns{}"}, instance="i{}", ifname="eth{}")


def test_many_are_numbered_where_it_says_or_at_the_end() -> None:
    first, second = vif_requests.many(ONE, 2)
    assert (first.name, second.name) == ("web1", "web2")
    assert (second.binding, second.instance, second.ifname) == ({"netns": "ns2"}, "i2", "eth2")
    named = VifRequest("web-{}-a", "acme/web")
    assert [one.name for one in vif_requests.many(named, 3)] == ["web-1-a", "web-2-a", "web-3-a"]
    assert vif_requests.names("web-{}-a", 2) == ["web-1-a", "web-2-a"]
    assert vif_requests.names("web", None) == ["web"]
    for count in (0, -3, 10_001):
        with pytest.raises(WrongRequest, match=f"--count {count}: one command deletes 1 to 10,000. Give a number"):
            vif_requests.names("web", count)


def test_labels_are_set_and_taken_away() -> None:
    assert vif_requests.changed_labels(["a=b=c", "gone="]) == {"a": "b=c", "gone": None}
    with pytest.raises(WrongRequest, match="Write --label KEY=VALUE"):
        vif_requests.labels(["gone="])


def test_options_that_are_given_and_those_that_go_back_to_their_default() -> None:
    texts = {"queues": "4", "owner": "root", "vlan": "", "device": None}
    flags = {"trust": True, "spoof_check": True, "representor": None}
    found = vif_requests.options(texts, flags)
    assert found == {"queues": "4", "owner": "0", "vlan": None, "trust": "true", "spoof_check": None}
    assert vif_requests.given("veth", {}, None) == {}
    assert vif_requests.given("no kind", found, None) == {"queues": "4", "owner": "0", "trust": "true"}
    flags = {"trust": False, "spoof_check": False, "representor": False}
    assert vif_requests.options({}, flags) == {"trust": None, "spoof_check": "false", "representor": "none"}


def test_progress_says_a_few_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(1000, "created") as told:
        assert isinstance(told, Lines)
        for done in range(1001):
            told(done, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10 and lines[0] == "100 of 1000 VIFs created" and lines[-1] == "1000 of 1000 VIFs created"
    with progress(1, "created") as told:
        assert told is None


def test_one_way_to_attach_alone() -> None:
    vif = {"name": "vm", "kind": "tap", "state": "ready"}
    found = Attachment("<interface/>", ("-netdev", "tap,id=a b"))
    assert attachment_text(vif, found, qemu=True, libvirt=False) == "-netdev 'tap,id=a b'"
    assert attachment_text(vif, found, qemu=False, libvirt=True) == "<interface/>"
    with pytest.raises(WrongRequest):
        attachment_text(vif, found, qemu=True, libvirt=True)
    for changes, words in (
        ({"kind": "veth"}, "VIF vm: kind veth has no QEMU arguments"),
        ({"state": "pending"}, "VIF vm: it has no QEMU arguments yet. See weir vif show vm"),
        ({"kind": "port"}, "a port has no QEMU arguments of Weir's"),
    ):
        with pytest.raises(SystemFault, match=words):
            attachment_text({**vif, **changes}, None, qemu=True, libvirt=False)
