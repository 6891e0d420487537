from __future__ import annotations

from xml.etree import ElementTree

from controller.intent.hypervisor import Attachment, attachment
from tests.unit.intent.worlds import vif

UUID = "6a1f3c58-0b9e-4a2d-9a57-2d1c0e4f7b11"


def given(kind: str, details: dict[str, str], is_userspace: bool = True, **changes: object) -> Attachment:
    one = vif("vm 1" if kind != "port" else UUID, 7, kind=kind, details=details, **changes)
    found = attachment(one, 1450, "br-weir", is_userspace)
    assert found is not None
    if found.libvirt is not None:
        ElementTree.fromstring(found.libvirt)
    return found


def test_a_tap_behind_the_userspace_datapath_has_its_offloads_off() -> None:
    found = given("tap", {"device": "wt7"})
    assert found.qemu == (
        "-netdev",
        "tap,id=vif7,ifname=wt7,script=no,downscript=no,vhost=off,vnet_hdr=off",
        "-device",
        "virtio-net-pci,netdev=vif7,mac=02:00:00:00:00:07,host_mtu=1450",
    )
    assert found.libvirt == (
        "<interface type='ethernet'>\n"
        "  <mac address='02:00:00:00:00:07'/>\n"
        "  <target dev='wt7' managed='no'/>\n"
        "  <model type='virtio'/>\n"
        "  <driver name='qemu'>\n"
        "    <host csum='off' gso='off' tso4='off' tso6='off' ecn='off' ufo='off'/>\n"
        "    <guest csum='off' tso4='off' tso6='off' ecn='off' ufo='off'/>\n"
        "  </driver>\n"
        "  <mtu size='1450'/>\n"
        "</interface>"
    )
    assert found.needs is None


def test_several_queues_of_a_tap_and_the_kernel_datapath() -> None:
    found = given("tap", {"device": "wt7", "queues": "4"}, is_userspace=False)
    assert found.qemu[1] == "tap,id=vif7,ifname=wt7,script=no,downscript=no,queues=4"
    assert found.qemu[3].endswith(",mq=on,vectors=10")
    assert "<driver queues='4'/>" in (found.libvirt or "") and "csum" not in (found.libvirt or "")
    assert "<driver" not in (given("tap", {"device": "wt7"}, is_userspace=False).libvirt or "")


def test_a_vhost_user_socket_and_what_its_vm_needs() -> None:
    options = {"queues": "2", "descriptors": "1024"}
    found = given("vhost-user", {"socket": "/run/a,b/x'y.sock"}, options=options)
    assert found.qemu == (
        "-chardev",
        "socket,id=vif7c,path=/run/a,,b/x'y.sock,server=on,wait=off",
        "-netdev",
        "vhost-user,id=vif7,chardev=vif7c,queues=2",
        "-device",
        "virtio-net-pci,netdev=vif7,mac=02:00:00:00:00:07,host_mtu=1450,mq=on,vectors=6"
        ",rx_queue_size=1024,tx_queue_size=1024",
    )
    element = ElementTree.fromstring(found.libvirt or "")
    source, driver = element.find("source"), element.find("driver")
    assert source is not None and source.get("path") == "/run/a,b/x'y.sock" and source.get("mode") == "server"
    assert driver is not None and driver.attrib == {
        "queues": "2", "rx_queue_size": "1024", "tx_queue_size": "1024",
    }  # fmt: skip
    assert found.needs is not None and "share=on" in found.needs and "memfd" in found.needs
    assert "<driver" not in (given("vhost-user", {"socket": "/run/x"}).libvirt or "")


def test_a_vf_that_is_handed_over_as_a_pci_device() -> None:
    found = given("vf", {"pci": "0000:03:02.1"}, binding={"pci": "vfio"})
    assert found.qemu == ("-device", "vfio-pci,host=0000:03:02.1")
    address = ElementTree.fromstring(found.libvirt or "").find("source/address")
    assert address is not None
    assert address.attrib == {"domain": "0x0000", "bus": "0x03", "slot": "0x02", "function": "0x1"}


def test_a_port_that_libvirt_makes_is_named_by_a_uuid() -> None:
    found = given("port", {})
    assert found.qemu == ()
    element = ElementTree.fromstring(found.libvirt or "")
    parameters, source = element.find("virtualport/parameters"), element.find("source")
    assert parameters is not None and parameters.get("interfaceid") == UUID
    assert source is not None and source.get("bridge") == "br-weir"


def test_there_is_nothing_to_say() -> None:
    for kind, details, changes in (
        ("veth", {"device": "eth0"}, {}),
        ("tap", {}, {}),
        ("vhost-user", {}, {}),
        ("vf", {"pci": "0000:03:02.1"}, {}),
        ("vf", {}, {"binding": {"pci": "vfio"}}),
        ("port", {}, {}),
    ):
        assert attachment(vif("vm1", 7, kind=kind, details=details, **changes), 1500, "br", True) is None
