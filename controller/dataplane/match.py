"""A match as a canonical value: equal matches are equal objects, whatever order they were written in."""

from __future__ import annotations

from dataclasses import dataclass

from controller.dataplane.fields import FIELDS

_LIMITS = {  # looked up often: a compile makes 100,000 matches
    name: (field.all_ones, field.maskable) for name, field in FIELDS.items() if field.is_matched
}

FieldValue = int | tuple[int, int]  # exact value, or (value, mask)


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """fields: (name, value, mask), sorted by name; mask all ones when exact; value has no bit outside mask."""

    fields: tuple[tuple[str, int, int], ...] = ()

    def value(self, name: str) -> int | None:
        """The value matched in field `name`, None when the field is not matched."""
        return next((value for field, value, _ in self.fields if field == name), None)


def match(**fields: FieldValue) -> Match:
    """Builds a canonical match: `match(eth_type=0x800, ipv4_dst=(0x0a000000, 0xff000000))`.

    A mask of zero drops the field. Raises ValueError for an unknown field, a value too wide, or a mask that the field
    does not take.
    """
    canonical = []
    for name, given in fields.items():
        limits = _LIMITS.get(name)
        if limits is None:
            raise ValueError(f"no field that can be matched is called {name!r}")
        all_ones, maskable = limits
        value, mask = given if isinstance(given, tuple) else (given, all_ones)
        if not 0 <= mask <= all_ones or not 0 <= value <= all_ones:
            raise ValueError(f"{name}: {value:#x}/{mask:#x} does not fit into {FIELDS[name].bits} bits")
        if not maskable and mask not in (0, all_ones):
            raise ValueError(f"{name} takes no mask, got {mask:#x}")
        if mask:
            canonical.append((name, value & mask, mask))
    canonical.sort()
    return Match(tuple(canonical))
