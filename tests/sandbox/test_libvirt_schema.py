"""What `weir vif show --libvirt` prints is what libvirt takes, by libvirt's own schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.intent.hypervisor import attachment
from lab import libvirt_schema
from lab.vm.packages import Unavailable
from tests.unit.intent.worlds import vif

UUID = "6a1f3c58-0b9e-4a2d-9a57-2d1c0e4f7b11"


@pytest.fixture(scope="module")
def schema() -> Path:
    try:
        return libvirt_schema.prepare()
    except Unavailable as reason:
        pytest.skip(f"NO XML WAS HELD AGAINST LIBVIRT'S SCHEMA: {reason}")


@pytest.mark.parametrize("is_userspace", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "tap", "details": {"device": "wt7"}},
        {"kind": "tap", "details": {"device": "wt7", "queues": "16"}},
        {"kind": "vhost-user", "details": {"socket": "/run/weir/vhost/a,b'c/sock"}},
        {"kind": "vhost-user", "details": {"socket": "/s"}, "options": {"queues": "4", "descriptors": "1024"}},
        {"kind": "vhost-user", "details": {"socket": "/s"}, "options": {"descriptors": "256"}},
        {"kind": "vf", "details": {"pci": "0000:03:02.1"}, "binding": {"pci": "vfio"}},
        {"kind": "vf", "details": {"pci": "10de:ff:1f.7"}, "binding": {"pci": "vfio"}},
        {"kind": "port"},
    ],
)
def test_libvirt_takes_what_it_is_given(schema: Path, changes: dict[str, object], is_userspace: bool) -> None:
    found = attachment(vif(UUID, 7, **changes), 1450, "br-weir", is_userspace)
    assert found is not None and found.libvirt is not None
    assert libvirt_schema.faults(schema, found.libvirt) == ""


def test_the_schema_tells_right_from_wrong(schema: Path) -> None:
    found = attachment(vif("a", 7, kind="tap", details={"device": "wt7"}), 1450, "br-weir", True)
    assert found is not None and found.libvirt is not None
    for wrong in ("type='ethernat'", "type='ethernet' colour='red'"):
        assert "fails to validate" in libvirt_schema.faults(schema, found.libvirt.replace("type='ethernet'", wrong))
