"""The tenants of a bursty day as Weir's: the policy that promises it, their VIFs, and where their traffic goes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.bursty import INGRESS, LOCAL, SINK, flows, path_of, policy_text
from lab.bursty_run import Ends
from lab.site import UPLINK, Site

OUTSIDE_ADDRESS, SUBNET, LOCAL_SUBNET = "10.1.0.100", "10.1.0.0/24", "10.2.0.0/24"


@contextmanager
def by_weir() -> Iterator[tuple[Site, Mapping[str, Ends]]]:
    """A system of its own; the ends by VIF. All is gone when the block ends. Raises LabError."""
    with tempfile.TemporaryDirectory(prefix="weir-policy-", dir="/tmp") as directory:
        policy = Path(directory) / "policy.yaml"
        policy.write_text(policy_text(UPLINK, SUBNET, LOCAL_SUBNET))
        with Site(policy, f"{OUTSIDE_ADDRESS}/24") as site:
            sink = site.add_vif(SINK, SINK, "yard")
            ends = {}
            for flow in flows():
                segment = "yard" if flow.place == LOCAL else "lan"
                one = site.add_vif(flow.vif, path_of(flow.tenant), segment)
                site.await_neighbour(flow.vif, sink.address if flow.place == LOCAL else None)
                if flow.place == LOCAL:
                    ends[flow.vif] = Ends(one.namespace, sink.namespace, sink.address)
                elif flow.place == INGRESS:
                    ends[flow.vif] = Ends(site.outside.name, one.namespace, one.address)
                else:
                    ends[flow.vif] = Ends(one.namespace, site.outside.name, site.outside_address)
            yield site, ends
