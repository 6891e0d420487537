"""Texts with units, as the policy language writes them, to the one unit inside, and back. Pure.

Inside: rates kbit/s (int), packet rates packets/s (int), sizes bytes (int), times seconds (float), parts of a whole
0..1 (float). A space before the unit is optional, case does not matter, and a bare number is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from policies.errors import BadValue
from policies.wording import either, quoted

_WRITTEN = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)[ \t]*([a-z/%]*)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One kind of value: what it is called, its units as multiples of the unit inside, its bounds."""

    name: str
    units: Mapping[str, Fraction]
    most: int
    finest: str = ""  # when the value inside is a whole number: what one of it is called

    def examples(self, number: str) -> list[str]:
        return [f"'{number} {unit}'" for unit in self.units]


RATE = Quantity(
    name="a rate",
    units={"bit": Fraction(1, 1000), "kbit": Fraction(1), "mbit": Fraction(1000), "gbit": Fraction(1_000_000)},
    most=1_000_000_000,  # 1 Tbit/s; OpenFlow's meters count to 4 Tbit/s
    finest="1 kbit",
)
PACKET_RATE = Quantity(
    name="a packet rate",
    units={"pps": Fraction(1), "kpps": Fraction(1000), "mpps": Fraction(1_000_000)},
    most=4_000_000_000,
    finest="1 pps",
)
SIZE = Quantity(
    name="a size",
    units={
        "b": Fraction(1),
        "kb": Fraction(1000),
        "mb": Fraction(1_000_000),
        "kib": Fraction(1024),
        "mib": Fraction(1024 * 1024),
    },
    most=1024 * 1024 * 1024,
    finest="1 b",
)
TIME = Quantity(
    name="a time",
    units={
        "us": Fraction(1, 1_000_000),
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "m": Fraction(60),
        "h": Fraction(3600),
        "d": Fraction(86400),
    },
    most=366 * 86400,
)
PERCENTAGE = Quantity(name="a percentage", units={"%": Fraction(1, 100)}, most=1)


def rate_kbps(text: str) -> int:
    """'10 mbit' -> 10000. Raises BadValue."""
    return int(_parse(text, RATE))


def packets_per_s(text: str) -> int:
    """'20 kpps' -> 20000. Raises BadValue."""
    return int(_parse(text, PACKET_RATE))


def size_bytes(text: str) -> int:
    """'64 kib' -> 65536. Raises BadValue."""
    return int(_parse(text, SIZE))


def time_s(text: str) -> float:
    """'20 ms' -> 0.02. Raises BadValue."""
    return float(_parse(text, TIME))


def part(text: str) -> float:
    """'30 %' -> 0.3. Raises BadValue."""
    return float(_parse(text, PERCENTAGE))


def time_or_size(text: str) -> tuple[float | None, int | None]:
    """A burst: ('20 ms' -> seconds, None) or ('64 kib' -> None, bytes). Raises BadValue."""
    number, unit = _split(text, "a time or a size", [*TIME.examples("20"), *SIZE.examples("64")])
    if unit in TIME.units:
        return time_s(text), None
    if unit in SIZE.units:
        return None, size_bytes(text)
    examples = either([*TIME.examples(number), *SIZE.examples(number)])
    problem = f"{quoted(text)} has no unit" if not unit else f"{quoted(text)} is neither a time nor a size"
    raise BadValue(problem, f"Write {examples}")


def rate_text(kbps: int) -> str:
    """The shortest text that means exactly this rate: 10000 -> '10 mbit'."""
    for unit, factor in (("gbit", 1_000_000), ("mbit", 1000)):
        if kbps and kbps % factor == 0:
            return f"{kbps // factor} {unit}"
    return f"{kbps} kbit"


def _split(text: str, what: str, examples: list[str]) -> tuple[str, str]:
    """The number as written and the unit in lower case, maybe empty."""
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        if text.strip().startswith("-"):
            raise BadValue(f"{quoted(text)} is negative", "Write a positive number, or remove the key")
        raise BadValue(f"{quoted(text)} is not {what}", f"Write a number and a unit, such as {either(examples)}")
    return written[1], written[2].lower()


def _parse(text: str, quantity: Quantity) -> Fraction:
    number, unit = _split(text, quantity.name, quantity.examples("10"))
    if not unit:
        raise BadValue(f"{quoted(text)} has no unit", f"Write {either(quantity.examples(number))}")
    factor = quantity.units.get(unit)
    if factor is None:
        raise BadValue(f"{quoted(text)} is not {quantity.name}", _meant(number, unit, quantity))
    value = Fraction(number) * factor
    if value > quantity.most:
        most = rate_text(quantity.most) if quantity is RATE else _largest(quantity)
        raise BadValue(f"{quoted(text)} is more than Weir can keep", f"Write at most '{most}'")
    if quantity.finest and value.denominator != 1:
        raise BadValue(f"{quoted(text)} is finer than Weir counts", f"Write a whole multiple of '{quantity.finest}'")
    return value


def _largest(quantity: Quantity) -> str:
    unit, factor = max(quantity.units.items(), key=lambda item: item[1])
    return f"{float(quantity.most / factor):g} {unit}"


def _meant(number: str, unit: str, quantity: Quantity) -> str:
    """The remedy for a unit that is not one: what the number may have meant."""
    if quantity is not RATE:
        return f"Write {either(quantity.examples(number))}"
    prefix = unit[0] if unit[0] in "kmg" else ""
    tail = unit.removeprefix(prefix)
    if unit == prefix:
        return f"Write '{number} {prefix}bit'"
    if tail.removeprefix("i").startswith("bit"):
        return f"Write '{number} {prefix}bit' (per second is understood)"
    if tail.startswith(("b", "ib")):
        eightfold = f"{float(Fraction(number) * 8):.12g}"
        bytes_name = {"": "bytes", "k": "kilobytes", "m": "megabytes", "g": "gigabytes"}[prefix]
        return f"Write '{number} {prefix}bit' (bits) or '{eightfold} {prefix}bit' ({number} {bytes_name})"
    return f"Write {either(quantity.examples(number))}"
