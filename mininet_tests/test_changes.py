"""VIFs come and go and the policy changes, while everybody else's traffic goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.children import LabError, wait_until
from lab.ping import answers, pinging
from mininet_tests.measure import flows
from mininet_tests.network import WeirNetwork
from mininet_tests.topology import PLACES, policy
from mininet_tests.traffic import came, connection, flush, mark, tcp, udp, wires


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
    other = network.flows("s1")
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
    assert other
