from __future__ import annotations

import pytest

from controller.intent.kind_options import OPTIONS, canonical, complaints


@pytest.mark.parametrize(
    ("kind", "options", "binding"),
    [
        ("veth", {}, {"container": "c1", "runtime": "podman"}),
        ("tap", {"owner": "64055", "queues": "4"}, {}),
        ("vhost-user", {"queues": "64", "descriptors": "1024", "socket_mode": "660", "socket_group": "107"}, {}),
        (
            "vf",
            {"device": "enp1s0f0", "vf": "3", "trust": "true", "spoof_check": "false", "vlan": "12"},
            {"netns": "a"},
        ),
        ("vf", {"representor": "none"}, {"pci": "vfio"}),
        ("port", {}, {}),
    ],
)
def test_what_goes(kind: str, options: dict[str, str], binding: dict[str, str]) -> None:
    assert list(complaints(kind, options, binding)) == []


@pytest.mark.parametrize(
    ("kind", "options", "binding", "words"),
    [
        (
            "veth",
            {"queues": "2"},
            {},
            "--queues means nothing to kind veth. It is for tap or vhost-user: leave it out.",
        ),
        ("tap", {"vlan": "2"}, {}, "--vlan means nothing to kind tap. It is for vf"),
        ("tap", {"queus": "2"}, {}, "there is no option 'queus'. Did you mean 'queues'?"),
        ("tap", {"queues": "17"}, {}, "--queues: a tap has at most 16. Ask for fewer."),
        ("tap", {"queues": "0"}, {}, "--queues: '0' is no number of queues. Give a number from 1 to 64."),
        ("tap", {"queues": "²"}, {}, "is no number of queues"),
        ("tap", {"owner": "x y"}, {}, "--owner: 'x y' is no user."),
        ("tap", {}, {"netns": "a"}, "a tap is opened by whoever runs the VM"),
        ("vhost-user", {"descriptors": "500"}, {}, "'500' is no length of a ring. Use 256, 512 or 1024."),
        ("vhost-user", {"socket_mode": "999"}, {}, "is no mode of a file. Write three octal digits"),
        ("vhost-user", {}, {"pid": "1"}, "which is in no network namespace"),
        ("port", {}, {"container": "c"}, "made by somebody else"),
        ("vf", {"vf": "1"}, {}, "Say which with --device"),
        ("vf", {"device": "a/b"}, {}, "'a/b' names no device"),
        ("vf", {"vlan": "4095"}, {}, "is no VLAN"),
        ("vf", {}, {"pci": "vfio", "netns": "a"}, "is in no network namespace. Leave out its place"),
        ("veth", {}, {"pci": "vfio"}, "--driver vfio-pci: only a VF is handed over as a PCI device."),
        ("veth", {}, {"container": "c", "runtime": "lxc"}, "there is no runtime 'lxc'. Use podman, docker,"),
    ],
)
def test_what_does_not_is_said(kind: str, options: dict[str, str], binding: dict[str, str], words: str) -> None:
    (line,) = complaints(kind, options, binding)
    assert words in line and line.endswith((".", "?"))


def test_each_is_kept_in_one_form() -> None:
    written = {"device": "03:00.1", "queues": "04", "socket_mode": "660", "what": "ever", "vlan": "x"}
    kept = canonical(written)
    assert kept == {"device": "0000:03:00.1", "queues": "4", "socket_mode": "0660", "what": "ever", "vlan": "x"}
    assert canonical(kept) == kept
    assert canonical({"device": "0000:AF:1F.7"}) == {"device": "0000:af:1f.7"}


def test_every_option_is_some_kinds() -> None:
    assert all(option.kinds and option.flag.startswith("--") for option in OPTIONS.values())
