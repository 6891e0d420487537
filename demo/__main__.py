"""Runs the demo: exit status 0 when every claim holds, 1 when one does not, 130 after ^C. Nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
import time

from demo import scenes
from demo.claims import Claim, none_of, verdict
from demo.view import say, scene
from lab.children import LabError
from lab.site import Site


def main() -> int:
    if os.geteuid() != 0:
        say("The demo makes network namespaces. Run it as root: sudo make demo")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as ^C: everything is taken away first
    begun_s = time.monotonic()
    try:
        claims = show()
    except LabError as fault:
        say(f"\nthe demo could not go on: {fault}")
        return 1
    except KeyboardInterrupt:
        say("\ninterrupted; everything was taken away")
        return 130
    scene(f"Verdict, after {time.monotonic() - begun_s:.0f} s")
    say(verdict(claims))
    return 0 if all(claim.holds for claim in claims) else 1


def show() -> list[Claim]:
    claims: list[Claim] = []
    scene("weir up: an Open vSwitch of its own, Weir DB, controller, agent; then four VIFs of three tenants")
    policy = scenes.HERE / "policy.yaml"
    say(policy.read_text())
    with Site(policy, "10.1.0.100/24") as site:
        for name, leaf in scenes.LEAF.items():
            vif = site.add_vif(name, leaf, "office")
            say(f"weir vif create {name} --policy {leaf}: {vif.address}, in namespace {vif.namespace}")
        for name in scenes.LEAF:
            site.await_neighbour(name)
        site.await_neighbour("blue1", site.vifs["green1"].address)
        site.await_neighbour("blue2", site.vifs["green1"].address)
        for act in (scenes.alone, scenes.contention, scenes.denial, scenes.loop, scenes.restart, scenes.routed):
            claims += act(site)
        scenes.inside(site)
        scene("weir down")
        site.system.weir("down")
        claims.append(none_of("weir down leaves no process, namespace or link", site.system.traces()))
    return claims


if __name__ == "__main__":
    sys.exit(main())
