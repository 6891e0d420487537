"""What is seen of the loop on a real switch: why a rate changed and what came of it, `weir top`, metrics, pictures."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.children import LabError, wait_until
from lab.frames import UDP_HEADERS_BYTES, UDP_PAYLOAD_BYTES
from lab.site import Site
from lab.system import WEIR
from lab.udp import UdpReceiver, UdpSender

POLICY = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.2.0.0/24]}
policies:
  team:
    unmatched: allow
    egress: {limit: 12 mbit}
    children:
      big: {egress: {guarantee: 6 mbit, limit: 15 mbit}}
      small: {egress: {limit: 15 mbit}}
  sink: {unmatched: allow}
"""
PORT = {"big": 7001, "small": 7002}
SHARES_KBPS = {"big": 6_000 + 3_000, "small": 3_000}  # the 6 Mbit/s that are left, in equal parts
OFFERED_KBPS = 20_000
FRAME_BYTES = UDP_PAYLOAD_BYTES + UDP_HEADERS_BYTES
PATIENCE_S = 60.0
TRIES, TRY_S = 5, 15.0
METRICS_PORT = 9476
URL = f"http://127.0.0.1:{METRICS_PORT}/metrics"
ALTERNATE_SCREEN_ENDS = b"\x1b[?1049l"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "10.1.0.100/24", "--metrics", str(METRICS_PORT)) as running:
        for name in PORT:
            running.add_vif(name, f"team/{name}", "lab")
        running.add_vif("sink", "sink", "lab")
        for name in PORT:
            running.await_neighbour(name, running.vifs["sink"].address)
        yield running


class Flood:
    """Both VIFs send more than team may. What left them and what came through: measured beside the loop."""

    def __init__(self, receiver: UdpReceiver, senders: Mapping[str, UdpSender]) -> None:
        self._receiver, self._senders = receiver, senders

    def offer(self, name: str, kbps: float) -> None:
        self._senders[name].offer(kbps)

    def rates(self, duration_s: float) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """(sent, arrived), frames in kbit/s, from now on for so long."""
        before = {name: sender.offer(OFFERED_KBPS) for name, sender in self._senders.items()}
        arrived = self._receiver.measure(duration_s)
        after = {name: sender.offer(OFFERED_KBPS) for name, sender in self._senders.items()}
        sent = {
            name: (after[name].sent - one.sent) * FRAME_BYTES * 8e-3 / (after[name].at_s - one.at_s)
            for name, one in before.items()
        }
        return sent, {name: arrived[port] for name, port in PORT.items()}


@contextmanager
def flooding(site: Site) -> Iterator[Flood]:
    with ExitStack() as ends:
        receiver = ends.enter_context(site.receiver_at("sink", list(PORT.values())))
        senders = {
            name: ends.enter_context(site.sender_at(name, port, to=site.vifs["sink"].address))
            for name, port in PORT.items()
        }
        for sender in senders.values():
            sender.offer(OFFERED_KBPS)
        yield Flood(receiver, senders)


def await_held(site: Site, flood: Flood) -> None:
    """Until the history has of both a change that holds them to their shares while they offer more.

    Of who stalls in that very second, on a busy machine, the change tells less, and nothing changes any more: so one of
    them pauses, and then the other, and both are held anew.
    """
    for _ in range(TRIES):
        with suppress(LabError):
            wait_until(lambda: all(held(site, name) for name in PORT), "both are held to their shares", TRY_S)
            return
        for name, pauses in (("big", "small"), ("small", "big")):
            flood.offer(pauses, 500)
            await_more(site, name)
            flood.offer(pauses, OFFERED_KBPS)
    told = {name: site.system.json("loop", "history", name, "--since", "5m")["changes"] for name in PORT}
    pytest.fail(f"no change holds both to their shares while they offer more: {told}")


def await_more(site: Site, name: str) -> None:
    """Until it has what the other leaves."""

    def allocated_kbps() -> float:
        vifs = {one["name"]: one for one in site.system.json("top", "--once")["vifs"]}
        return float(vifs[name]["egress"]["allocated_kbps"] or 0.0)

    wait_until(lambda: allocated_kbps() > 1.15 * SHARES_KBPS[name], f"{name} has what the other leaves", PATIENCE_S)


def held(site: Site, name: str) -> list[dict[str, Any]]:
    """The changes that hold a VIF which offers more to about its share, and of which the effect is known."""
    changes = site.system.json("loop", "history", name, "--since", "5m")["changes"]
    return [
        one
        for one in changes
        if one["effect"] is not None
        and one["after"] == pytest.approx(SHARES_KBPS[name], rel=0.1)
        and one["inputs"]["offered_kbps"] > SHARES_KBPS[name]
    ]


def test_a_change_is_told_with_its_reason_and_its_effect_and_top_agrees_with_the_traffic(site: Site) -> None:
    with flooding(site) as flood:
        await_held(site, flood)
        wait_until(lambda: agrees(site, flood), "top shows what is sent and arrives", PATIENCE_S)
    for name in SHARES_KBPS:
        change = held(site, name)[-1]
        assert (change["vif"], change["direction"], change["what"]) == (name, "egress", "rate")
        assert "the loop keeps the limit of team (12 mbit)" in change["why"]
        assert change["inputs"]["limit_kbps of team"] == 12_000
        assert 0 < change["effect"]["passed_kbps"] <= 1.1 * change["after"]  # on a busy machine senders may pause
        assert change["effect"]["dropped_kbps"] > 0
    told = site.system.weir("loop", "history", "big")
    assert "big" not in told.partition("\n")[0] and "  why: the loop keeps the limit of team" in told
    assert "small (team/small) egress rate: " in site.system.weir("loop", "history")
    assert site.system.exit_status("loop", "history", "nobody") == 2


def agrees(site: Site, flood: Flood) -> bool:
    """In one window; others use this machine too."""
    sent, arrived = flood.rates(2.0)
    shown = {one["name"]: one for one in site.system.json("top", "--once")["vifs"]}
    pairs = [(shown["sink"]["ingress"]["passed_kbps"], sum(arrived.values()), 0.1)]
    for name, share_kbps in SHARES_KBPS.items():
        egress = shown[name]["egress"]
        pairs += [(egress["offered_kbps"], sent[name], 0.1), (egress["passed_kbps"], arrived[name], 0.1)]
        pairs.append((egress["allocated_kbps"], share_kbps, 0.05))
    print(f"shown, measured: {pairs}")
    return all(seen == pytest.approx(measured, rel=part) for seen, measured, part in pairs)


def test_a_picture_shows_the_run(site: Site, tmp_path: Path) -> None:
    with flooding(site) as flood:
        flood.rates(3.0)
    picture = tmp_path / "big.svg"
    site.system.weir("loop", "plot", "big", "-o", str(picture), "--since", "10m")
    groups = {group.get("id") for group in ElementTree.parse(picture).iter(f"{SVG}g")}
    assert {f"egress-{line}" for line in ("offered", "allocated", "achieved", "dropped")} <= groups
    site.system.weir("loop", "plot", "--all", "--output", str(tmp_path / "all.png"))
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def total(site: Site, family: str, **wanted: str) -> float:
    """Of the samples with these labels, as Prometheus reads them from the port."""
    ask = f"import sys, urllib.request as u; sys.stdout.write(u.urlopen({URL!r}).read().decode())"
    text = site.outside.run(sys.executable, "-I", "-c", ask)
    samples = [one for found in text_string_to_metric_families(text) if found.name == family for one in found.samples]
    return float(sum(one.value for one in samples if wanted.items() <= one.labels.items()))


def test_metrics_count_what_was_sent_and_never_fall(site: Site) -> None:
    seen = [sent_bytes(site)]

    def count_a_flood() -> None:
        with flooding(site) as flood:
            _, arrived = flood.rates(2.0)
        grown_bytes = 0.9 * arrived["big"] * 2.0 * 125
        before = seen[-1]
        wait_until(
            lambda: seen.append(sent_bytes(site)) or seen[-1] > before + grown_bytes, "it is counted", PATIENCE_S
        )

    count_a_flood()
    site.system.await_restart("ovs-vswitchd", site.system.kill("ovs-vswitchd"))
    for name in PORT:
        site.await_neighbour(name, site.vifs["sink"].address)
    count_a_flood()
    assert seen == sorted(seen)
    assert total(site, "weir_vif_limit_bits_per_second", vif="big", direction="egress") == 15_000_000
    assert total(site, "weir_loop_changes", what="rate", direction="egress") >= 2


def sent_bytes(site: Site) -> float:
    return total(site, "weir_vif_bytes", vif="big", policy="team/big", direction="egress", at="port")


def test_metrics_are_for_this_machine_and_their_process_is_one_of_the_systems(site: Site) -> None:
    assert "metrics" in site.system.json("status")["processes"]
    assert site.system.exit_status("up", "--metrics", "0.0.0.0:9477") == 2
    assert site.system.exit_status("up", "--metrics", "9477") == 1  # it is up, with another port
    old_pid = site.system.kill("metrics")
    site.system.await_restart("metrics", old_pid)
    wait_until(lambda: "weir_loop_ticks_total" in site.system.weir("metrics"), "it is asked on its own socket")
    assert wait_until(lambda: total(site, "weir_loop_ticks") if listens(site) else 0.0, "it answers again") > 0


def listens(site: Site) -> bool:
    return f":{METRICS_PORT} " in site.outside.run("ss", "-Hltn")


def test_top_on_a_terminal_shows_until_it_is_interrupted(site: Site) -> None:
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (40, 150))
    environment = {**os.environ, "WEIR_STATE_DIR": str(site.system.directory.path), "TERM": "xterm"}
    # whoever runs the tests in the background may have them ignore what ^C sends
    argv = ["env", "--default-signal=INT", WEIR, "top", "--interval", "0.2"]
    with subprocess.Popen(argv, stdin=its, stdout=its, stderr=its, env=environment) as top:
        os.close(its)
        try:
            shown = b""
            while shown.count(b"sink") < 3:  # three looks
                shown += os.read(ours, 65536)
            top.send_signal(signal.SIGINT)
            with suppress(OSError):  # so a terminal ends
                while more := os.read(ours, 65536):
                    shown += more
            assert top.wait(10) == 0
        finally:
            top.kill()
            os.close(ours)
    assert b"3 VIFs: out " in shown and b"team/big" in shown and b"Traceback" not in shown
    assert shown.rindex(ALTERNATE_SCREEN_ENDS) > shown.index(b"sink")
