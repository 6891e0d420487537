"""VIFs come and go and the policy changes, while everybody else's traffic goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.children import LabError, wait_until
from lab.ping import answers
from mininet_tests.measure import flows
from mininet_tests.network import WeirNetwork
from mininet_tests.traffic import all_that_came, came, connection, flush, mark, tcp, udp, wires
from mininet_tests.two_switches import PLACES, policy


@pytest.fixture(scope="module", autouse=True)
def everything_allowed(network: WeirNetwork) -> None:
    network.apply(policy())


@contextmanager
def undisturbed(network: WeirNetwork) -> Iterator[None]:
    """A flow beside all this, of which nothing may be lost."""
    with flows((network.hosts["h2"], network.hosts["h4"])) as (flow,):
        flow.sender.offer(2000)
        wait_until(lambda: flow.receiver.series(flow.port).frames > 0, "traffic under way")
        yield
        sent = flow.sender.offer(0).sent
        wait_until(lambda: flow.receiver.series(flow.port).frames == sent, f"all {sent} datagrams")


def test_a_vif_that_is_deleted_is_cut_off_and_can_come_back(network: WeirNetwork) -> None:
    h1, h3, h6 = (network.hosts[name] for name in ("h1", "h3", "h6"))
    place = next(place for place in PLACES if place.name == "h6")
    with undisturbed(network):
        network.weir("vif", "delete", "h6")
        assert "s2-h6" not in network.flows("s2")
        assert "h6" not in network.weir("vif", "list")
        to, back = mark(), mark()
        with wires(h1, h3, h6) as made:
            made["h1"].send(udp(h1, h6, 9)(to))
            made["h6"].send(udp(h6, h3, 9)(back))
            flush(h1, made["h1"], made["h3"])
            assert not made["h6"].has(to) and not made["h3"].has(back)
        network.adopt(place)
        assert answers(h6.namespace, h1.v4)
        assert came(h1, h6, udp(h1, h6, 9))


def test_a_new_rule_closes_an_established_connection_and_its_end_lets_it_go_on(network: WeirNetwork) -> None:
    h1, h3 = network.hosts["h1"], network.hosts["h3"]
    with undisturbed(network), connection(h1, h3, 8080) as made:
        made.exchange()
        network.apply(policy(h3="unmatched: allow, rules: [deny: {direction: ingress, service: tcp/8080}]"))
        late = mark()
        with wires(h1, h3) as seen:
            made.client.sendall(late)
            seen["h1"].await_departure(late)
            flush(h1, seen["h1"], seen["h3"])
            assert not seen["h3"].has(late)
        assert all_that_came(h1, h3, {"closed": tcp(h1, h3, 8080), "open": tcp(h1, h3, 80)}) == {"open"}
        network.apply(policy())
        assert made.server.recv(len(late)) == late  # sent again by TCP itself
        made.exchange()


def test_a_wrong_policy_changes_nothing(network: WeirNetwork) -> None:
    before = network.ovs.ofctl("--no-stats", "dump-flows", "s1")
    with pytest.raises(LabError, match=r"policy\.yaml:\d+:\d+: policies\.h1\.egress\.limit: "):
        network.apply(policy(h1="egress: {limit: 10 mbps}"))
    assert network.ovs.ofctl("--no-stats", "dump-flows", "s1") == before


def test_a_port_of_no_vif_has_no_network(network: WeirNetwork) -> None:
    """Not even inside its segment's VLAN, nor by what it was a moment ago: taking the mark off is enough."""
    h5, h1 = network.hosts["h5"], network.hosts["h1"]
    network.ovs.vsctl("remove", "interface", h5.place.port, "external_ids", "iface-id")
    wait_until(lambda: "s1-h5" not in network.flows("s1"), "its entries are gone")
    assert not answers(h5.namespace, h1.v4, within_s=1)
    network.ovs.vsctl("set", "interface", h5.place.port, "external_ids:iface-id=h5")
    wait_until(lambda: "s1-h5" in network.flows("s1"), "its entries are back")
    assert answers(h5.namespace, h1.v4)
