"""What a kind of VIF may be told, and how it is written: names, checks, texts. Pure.

In the Weir DB an option is a text under its key, in the one form that the agents read; absent is the default. A VF that
is handed over as a PCI device says so in its binding, {"pci": "vfio"}, as that decides where it goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from policies.wording import either, nearest, quoted

VETH, TAP, VHOST_USER, VF, PORT = KINDS = ("veth", "tap", "vhost-user", "vf", "port")
MADE_HERE = (VETH, TAP, VHOST_USER, VF)  # by an agent, which must therefore be known; a port is found

OWNER, QUEUES, DESCRIPTORS, SOCKET_MODE, SOCKET_GROUP = "owner", "queues", "descriptors", "socket_mode", "socket_group"
DEVICE, INDEX, TRUST, SPOOF_CHECK, VLAN, REPRESENTOR = "device", "vf", "trust", "spoof_check", "vlan", "representor"

NO_REPRESENTOR = "none"
PCI, VFIO = "pci", "vfio"  # key and value in a binding
RUNTIMES = ("podman", "docker", "crun", "runc", "containerd")
PLACES = ("netns", "pid", "container")  # what a binding may name, one of them
BESIDE = {"pid": "started", "container": "runtime"}  # what may stand beside it

MOST_TAP_QUEUES = 16
MOST_VHOST_QUEUES = 64
RING_LENGTHS = ("256", "512", "1024")
DEFAULT_IFNAME = "eth0"
# what the kernel takes for the name of a link; it would put a number in the place of a %d
IFNAME = re.compile(r"[^\s/:%\x00-\x1f\x7f]{1,15}")
_PCI = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])", re.IGNORECASE)
_ID = re.compile(r"0|[1-9][0-9]{0,8}")
_MODE = re.compile(r"0?[0-7]{3}")


class BadOption(ValueError):
    """`problem. Remedy.`"""


@dataclass(frozen=True, slots=True)
class Option:
    """One that the command line takes. read: to the form that is kept. Raises BadOption."""

    flag: str  # as it is written there
    kinds: tuple[str, ...]
    read: Callable[[str], str]
    back: str | None = None  # the flag that takes it back; None: the same, with nothing


def _number(least: int, most: int, what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
            raise BadOption(f"{quoted(text)} is no {what}. Give a number from {least} to {most}.")
        return str(int(text))

    return read


def _descriptors(text: str) -> str:
    """QEMU's rings, which it makes of these lengths only; the switch takes what the guest has."""
    if text not in RING_LENGTHS:
        raise BadOption(f"{quoted(text)} is no length of a ring. Use {either(RING_LENGTHS)}.")
    return text


def _id(what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not _ID.fullmatch(text):
            raise BadOption(f"{quoted(text)} is no {what}. Give a name that this machine knows, or its number.")
        return text

    return read


def _mode(text: str) -> str:
    if not _MODE.fullmatch(text):
        raise BadOption(f"{quoted(text)} is no mode of a file. Write three octal digits, as in 660.")
    return text.rjust(4, "0")


def _device(text: str) -> str:
    pci = _PCI.fullmatch(text)
    if pci is not None:
        return f"{pci[1] or '0000'}:{pci[2]}".lower()
    if not IFNAME.fullmatch(text) or text in (".", ".."):
        raise BadOption(
            f"{quoted(text)} names no device. Write its name, as in enp1s0f0, or its PCI address, as in 0000:01:00.0."
        )
    return text


def _word(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise BadOption(f"{quoted(text)} is not known. Use {either(words)}.")
        return text

    return read


OPTIONS: Mapping[str, Option] = {
    OWNER: Option("--owner", (TAP,), _id("user")),
    QUEUES: Option("--queues", (TAP, VHOST_USER), _number(1, MOST_VHOST_QUEUES, "number of queues")),
    DESCRIPTORS: Option("--descriptors", (VHOST_USER,), _descriptors),
    SOCKET_MODE: Option("--socket-mode", (VHOST_USER,), _mode),
    SOCKET_GROUP: Option("--socket-group", (VHOST_USER,), _id("group")),
    DEVICE: Option("--device", (VF,), _device),
    INDEX: Option("--vf", (VF,), _number(0, 255, "number of a VF")),
    TRUST: Option("--trust", (VF,), _word("true"), "--no-trust"),
    SPOOF_CHECK: Option("--no-spoof-check", (VF,), _word("false"), "--spoof-check"),
    VLAN: Option("--vlan", (VF,), _number(1, 4094, "VLAN")),
    REPRESENTOR: Option("--without-representor", (VF,), _word(NO_REPRESENTOR), "--with-representor"),
}


def canonical(options: Mapping[str, str]) -> dict[str, str]:
    """In the form that is kept; what cannot be read stays as it is, for `complaints`."""
    kept = {}
    for key, text in options.items():
        try:
            kept[key] = OPTIONS[key].read(text)
        except (KeyError, BadOption):
            kept[key] = text
    return kept


def idle(kind: str, options: Mapping[str, str | None], driver: str | None) -> Iterator[str]:
    """What would be ignored: a driver, and options taken back, that a VIF of this kind does not have anyway."""
    if driver is not None and kind != VF:
        yield _nothing("--driver", kind, (VF,))
    for key, text in options.items():
        option = OPTIONS.get(key)
        if text is None and option is not None and kind not in option.kinds:
            yield _nothing(option.back or option.flag, kind, option.kinds)


def has_link_inside(kind: str, binding: Mapping[str, str]) -> bool:
    """Whether Weir gives the instance a network interface, which then has a name."""
    return kind in (VETH, VF) and PCI not in binding


def complaints(kind: str, options: Mapping[str, str], binding: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the options and the binding of a VIF of this kind: `problem. Remedy.`"""
    yield from _of_options(kind, options)
    yield from _of_binding(kind, binding)


def fixed(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """What a device is made with once and for all, as it shall not be taken from under a VM: `problem. Remedy.`"""
    if kind != TAP:
        return
    again = "Delete it and create it again."
    if before.get(OWNER, "0") != after.get(OWNER, "0"):
        yield f"{OPTIONS[OWNER].flag}: a tap stays the user's that it was made for. {again}"
    if (before.get(QUEUES, "1") == "1") != (after.get(QUEUES, "1") == "1"):
        yield f"{OPTIONS[QUEUES].flag}: a tap is made for one queue or for several, and stays so. {again}"


def _of_options(kind: str, options: Mapping[str, str]) -> Iterator[str]:
    for key, text in options.items():
        option = OPTIONS.get(key)
        if option is None:
            meant = nearest(key, OPTIONS)
            yield f"there is no option {quoted(key)}. " + (f"Did you mean '{meant}'?" if meant else "Leave it out.")
        elif kind not in option.kinds:
            yield _nothing(option.flag, kind, option.kinds)
        else:
            try:
                option.read(text)
            except BadOption as fault:
                yield f"{option.flag}: {fault}"
    if kind == TAP and options.get(QUEUES, "1").isdecimal() and int(options.get(QUEUES, "1")) > MOST_TAP_QUEUES:
        yield f"--queues: a tap has at most {MOST_TAP_QUEUES}. Ask for fewer."
    if kind == VF and INDEX in options and DEVICE not in options:
        yield "--vf: the number of a VF is one of a device. Say which with --device, or leave it out."


def _nothing(flag: str, kind: str, kinds: tuple[str, ...]) -> str:
    return f"{flag} means nothing to kind {kind}. It is for {either(kinds)}: leave it out."


def _of_binding(kind: str, binding: Mapping[str, str]) -> Iterator[str]:
    if kind not in (VETH, VF) and binding:
        yield _UNBOUND.get(kind, "it takes no place. Leave it out.")
    places = [place for place in PLACES if place in binding]
    if PCI in binding and (kind != VF or binding[PCI] != VFIO):
        yield "--driver vfio-pci: only a VF is handed over as a PCI device. Use --kind vf, or leave it out."
    elif PCI in binding and places:
        yield (
            "a VF that is handed over as a PCI device is in no network namespace. "
            "Leave out its place, or use --driver netdev."
        )
    if "runtime" in binding and binding["runtime"] not in RUNTIMES:
        yield f"there is no runtime {quoted(binding['runtime'])}. Use {either(RUNTIMES)}, or leave it out."


_UNBOUND = {
    PORT: "a port is made by somebody else, who also binds it. Leave out its namespace, process or container.",
    TAP: "a tap is opened by whoever runs the VM, in the system's namespace. Leave out its place; see weir vif exec.",
    VHOST_USER: "a vhost-user VIF is a socket, which is in no network namespace. Leave out its place.",
}
