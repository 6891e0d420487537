"""The tenants of a scenario as Weir's: the policy that promises it, their VIFs, and the quiet one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.site import UPLINK, Site
from lab.tenant_floods import Ground
from lab.tenants import QUIET, Tenant, policy_text

OUTSIDE_ADDRESS, SUBNET = "10.1.0.100", "10.1.0.0/24"
_SEGMENT = "lan"


@contextmanager
def by_weir(tenants: Sequence[Tenant]) -> Iterator[Ground]:
    """A system of its own, every VIF reaching the outside. All is gone when the block ends. Raises LabError."""
    with tempfile.TemporaryDirectory(prefix="weir-policy-", dir="/tmp") as directory:
        policy = Path(directory) / "policy.yaml"
        policy.write_text(policy_text(tenants, UPLINK, SUBNET))
        with Site(policy, f"{OUTSIDE_ADDRESS}/24") as site:
            for name, leaf in [(name, f"{one.name}/vif") for one in tenants for name in one.names] + [(QUIET, QUIET)]:
                site.add_vif(name, leaf, _SEGMENT)
                site.await_neighbour(name)
            vifs = {name: vif.namespace for name, vif in site.vifs.items()}
            yield Ground(site.outside.name, site.outside_address, vifs)
