"""Services: applications as the network sees them, by name or by protocol and ports. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from policies.errors import BadValue
from policies.grammar import ICMP_PROTOCOLS, PORT_PROTOCOLS, PROTOCOLS, SERVICE, SERVICE_WORDS
from policies.model import Service, ServiceMatch
from policies.names import Names
from policies.reader import Reader, whole_number
from policies.source import Entry, Fields, Tree
from policies.wording import either, nearest, quoted

_EXAMPLES = "tcp/443, udp/53, tcp/8000-8099, icmp/8, ip/47 or any"
_RANGE = re.compile(r"([0-9]{1,5})(?:[ \t]*-[ \t]*([0-9]{1,5}))?")


def read_services(reader: Reader, entries: Iterable[Entry]) -> Mapping[str, Service]:
    """The `services` of all files. A wrong one keeps its name, so that rules that use it are not errors as well."""
    services: dict[str, Service] = {}
    for entry in entries:
        if entry.key.lower() in SERVICE_WORDS:
            problem = f"{quoted(entry.key)} is a word of the language"
            reader.problems.add(entry.key_place, problem, "Choose another name for the service")
        matches = _read(reader, entry.value, lambda text: (parse_service(text),))
        services[entry.key] = Service(entry.key, matches, entry.key_place.at)
    return services


def read_rule_services(reader: Reader, tree: Tree, names: Names) -> tuple[tuple[ServiceMatch, ...], frozenset[str]]:
    """The services of a rule, any of them, and the names among them. Raises TooManyErrors, see Names."""
    used: set[str] = set()

    def parse(text: str) -> tuple[ServiceMatch, ...]:
        if text not in names.services:
            return _written(text, names, reader.complete)
        is_first = text not in used  # a name may stand for many, and be written as often as there is room
        used.add(text)
        return names.services[text].matches if is_first else ()

    matches = _read(reader, tree, parse)
    names.count_matches(len(matches), tree.place)
    return matches, frozenset(used)


def _read(reader: Reader, tree: Tree, parse: Callable[[str], tuple[ServiceMatch, ...]]) -> tuple[ServiceMatch, ...]:
    """One service or a list of them, each once."""
    found: list[ServiceMatch] = []
    for item in reader.one_or_more(tree):
        if isinstance(item, Fields):
            match = _match_of_fields(reader, item)
            found += [match] if match else []
        else:
            found += reader.value(item, parse) or ()
    return tuple(dict.fromkeys(found))


def service_text(match: ServiceMatch) -> str:
    """As the language writes it: "tcp/443", "udp/53 from 1024-65535", "icmp/8/0", "any"."""
    if match.protocol is None:
        return "any"
    name = {number: name for name, number in PROTOCOLS.items()}.get(match.protocol, f"ip/{match.protocol}")
    parts = [name]
    if match.ports is not None:
        parts.append(_range_text(match.ports))
    parts += [str(number) for number in (match.icmp_type, match.icmp_code) if number is not None]
    sources = f" from {_range_text(match.source_ports)}" if match.source_ports is not None else ""
    return "/".join(parts) + sources


def _range_text(ports: tuple[int, int]) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


def _written(text: str, names: Names, complete: bool) -> tuple[ServiceMatch, ...]:
    if "/" in text or text.lower() in SERVICE_WORDS:
        return (parse_service(text),)
    if not complete:
        return ()
    otherwise = f"Define it under 'services', or write {_EXAMPLES}"
    raise BadValue(f"no service is named {quoted(text)}", names.remedy(text, (*names.services, *PROTOCOLS), otherwise))


def parse_service(text: str) -> ServiceMatch:
    """'tcp/443', 'icmp/8/0', 'ip/47', 'any'. Raises BadValue."""
    head, *rest = [part.strip() for part in text.lower().split("/")]
    if head == "any" and not rest:
        return ServiceMatch()
    if head == "ip" and len(rest) == 1:
        return ServiceMatch(protocol=whole_number(0, 255)(rest[0]))
    if head in PORT_PROTOCOLS and len(rest) <= 1:
        return ServiceMatch(PROTOCOLS[head], ports=_ports(rest[0]) if rest else None)
    if head in ICMP_PROTOCOLS and len(rest) <= 2:
        numbers = [whole_number(0, 255)(part) for part in rest]
        return ServiceMatch(
            PROTOCOLS[head],
            icmp_type=numbers[0] if numbers else None,
            icmp_code=numbers[1] if len(numbers) == 2 else None,
        )
    if head in ("any", "ip"):
        raise BadValue(f"{quoted(text)} is not a service", "Write 'any' for all traffic, or 'ip/47' by protocol number")
    if head in PROTOCOLS:
        form = f"{head}/8 or {head}/8/0" if head in ICMP_PROTOCOLS else f"{head}/443 or {head}/8000-8099"
        raise BadValue(f"{quoted(text)} has too many parts", f"Write {form}")
    near = nearest(head, SERVICE_WORDS)
    hint = f"The nearest protocol is '{near}'" if near else f"Write {_EXAMPLES}"
    raise BadValue(f"{quoted(text)} begins with no known protocol", hint)


def _ports(text: str) -> tuple[int, int]:
    """'443' or '8000-8099'. Raises BadValue."""
    written = _RANGE.fullmatch(text)
    if written is None:
        raise BadValue(f"{quoted(text)} is not a port or a range", "Write 443 or 8000-8099; several are a list")
    first, last = int(written[1]), int(written[2] or written[1])
    if last > 65535 or first > 65535:
        raise BadValue(f"{quoted(text)} is beyond the last port", "Write ports from 0 to 65535")
    if first > last:
        raise BadValue(f"{quoted(text)} is a range that ends before it begins", f"Write {last}-{first}")
    return first, last


def _protocol(text: str) -> int:
    if text.lower() in PROTOCOLS:
        return PROTOCOLS[text.lower()]
    if text.isdigit():
        return whole_number(0, 255)(text)
    raise BadValue(f"{quoted(text)} is not a protocol", f"Write {either([*PROTOCOLS, 'a protocol number'])}")


def _match_of_fields(reader: Reader, tree: Fields) -> ServiceMatch | None:
    fields = reader.fields(tree, SERVICE)
    protocol = reader.value(fields["proto"], _protocol) if "proto" in fields else None
    ranges = {key: reader.value(fields[key], _ports) for key in ("port", "source_port") if key in fields}
    if protocol is None:
        return None
    if protocol not in [PROTOCOLS[name] for name in PORT_PROTOCOLS]:
        for key in ranges:
            remedy = f"Remove it, or write proto {either(PORT_PROTOCOLS)}; an ICMP type is written icmp/8"
            reader.problems.add(fields[key].place, "this protocol has no ports", remedy)
        return ServiceMatch(protocol)
    return ServiceMatch(protocol, ports=ranges.get("port"), source_ports=ranges.get("source_port"))
