"""From the options of `weir vif create` and `set` to requests. Raises WrongRequest for what no system could make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from controller.client.places import Place, binding_of, numbered
from controller.intent.errors import Rejected
from controller.intent.kind_options import KINDS, PCI, REPRESENTOR, SPOOF_CHECK, TRUST, VFIO, idle
from controller.intent.vif_change import DRIVERS, VFIO_PCI
from controller.intent.vif_checks import VifRequest
from controller.system.errors import WrongRequest
from policies.errors import BadValue
from policies.own_numbers import INHERITED, Own, read_own
from policies.wording import either

AUTO = "auto"  # of --ip: the addresses that Weir chooses
NUMBER = "{}"  # in a name: the place of the number of one of many
MOST = 10_000  # VIFs of one command

__all__ = ["VifRequest", "WrongRequest"]


def binding(place: Place, driver: str | None) -> dict[str, str]:
    """Of a VIF that is created."""
    found = binding_of(place)
    check_driver(driver)
    return {**found, PCI: VFIO} if driver == VFIO_PCI else found


def check_driver(driver: str | None) -> None:
    if driver is not None and driver not in DRIVERS:
        raise WrongRequest(f"--driver {driver}: there is no such driver", f"Use {either(DRIVERS)}")


def labels(texts: Sequence[str]) -> dict[str, str]:
    """Each KEY=VALUE."""
    found = changed_labels(texts)
    for key, value in found.items():
        if value is None:
            raise WrongRequest(f"--label '{key}=': a label has a key and a value", "Write --label KEY=VALUE")
    return {key: value for key, value in found.items() if value is not None}


def changed_labels(texts: Sequence[str]) -> dict[str, str | None]:
    """Each KEY=VALUE, or KEY= for a label that goes."""
    found: dict[str, str | None] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise WrongRequest(f"--label '{text}': a label has a key and a value", "Write --label KEY=VALUE")
        if key in found:
            raise WrongRequest(f"--label {key}: given twice", "Give each key once")
        found[key] = value or None
    return found


def own(text: str | None, flag: str) -> Own | None:
    """None: not given."""
    try:
        return None if text is None else read_own(text)
    except BadValue as fault:
        raise WrongRequest(f"{flag}: {fault.problem}", fault.remedy) from fault


def addresses(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    """None: none given; (): Weir chooses."""
    if not texts:
        return None
    if AUTO not in texts:
        return tuple(texts)
    if len(texts) > 1:
        raise WrongRequest(
            f"--ip {AUTO}: Weir chooses all of the addresses or none", f"Leave out {AUTO}, or the others"
        )
    return ()


def options(texts: Mapping[str, str | None], flags: Mapping[str, bool | None]) -> dict[str, str | None]:
    """By key; None: back to its default. Options that were not given are left out. flags: as on the command line."""
    found = numbered({key: text or None for key, text in texts.items() if text is not None})
    words = {(TRUST, True): "true", (SPOOF_CHECK, False): "false", (REPRESENTOR, False): "none"}
    found.update({key: words.get((key, flag)) for key, flag in flags.items() if flag is not None})
    return found


def given(kind: str, options: Mapping[str, str | None], driver: str | None) -> dict[str, str]:
    """Of a VIF that is created: a default need not be said, but must be one that it has."""
    lines = list(idle(kind, options, driver)) if kind in KINDS else []
    if lines:
        raise Rejected(lines)
    return {key: text for key, text in options.items() if text is not None}


def many(request: VifRequest, count: int) -> list[VifRequest]:
    """The request for each number from 1 to `count`: in its name, at its end or where {} stands; and wherever {} stands
    in namespace, container, instance and interface name."""
    _check_count(count, "makes")
    if request.mac is not None or request.addresses:
        raise WrongRequest("--count: several cannot have the same --mac or --ip", "Leave these out")
    return [_numbered(request, str(number)) for number in range(1, count + 1)]


def names(name: str, count: int | None) -> list[str]:
    """Those that `many` gives."""
    if count is None:
        return [name]
    _check_count(count, "deletes")
    return [_named(name, str(number)) for number in range(1, count + 1)]


def _check_count(count: int, does: str) -> None:
    if not 1 <= count <= MOST:
        raise WrongRequest(f"--count {count}: one command {does} 1 to {MOST:,}", "Give a number between")


def _numbered(request: VifRequest, number: str) -> VifRequest:
    place = {key: value.replace(NUMBER, number) for key, value in request.binding.items()}
    instance = None if request.instance is None else request.instance.replace(NUMBER, number)
    ifname = request.ifname.replace(NUMBER, number)
    return replace(request, name=_named(request.name, number), binding=place, instance=instance, ifname=ifname)


def _named(name: str, number: str) -> str:
    return name.replace(NUMBER, number) if NUMBER in name else name + number


def numbers(egress: str | None, ingress: str | None) -> tuple[Own, Own]:
    """Of a VIF that is created."""
    return own(egress, "--egress") or INHERITED, own(ingress, "--ingress") or INHERITED
