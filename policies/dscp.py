"""Code points of differentiated services by name (RFC 2474, 2597, 3246). Pure."""

from __future__ import annotations

from policies.errors import BadValue
from policies.wording import nearest, quoted

_HIGHEST = 63
_ASSURED = {f"af{which}{drop}": which * 8 + drop * 2 for which in range(1, 5) for drop in range(1, 4)}
_NUMBERS = {"be": 0, "default": 0, "ef": 46, **_ASSURED, **{f"cs{which}": which * 8 for which in range(8)}}
_NAMES = {number: name for name, number in reversed(_NUMBERS.items())}  # 0 is called "be"


def code_point(text: str) -> int:
    """'ef' or '46' -> 46; 0..63, case does not matter. Raises BadValue."""
    word = text.lower()
    if word in _NUMBERS:
        return _NUMBERS[word]
    if word.isascii() and word.isdigit() and len(word) <= 2 and int(word) <= _HIGHEST:
        return int(word)
    near = None if word.isdigit() else nearest(word, _NUMBERS)
    remedy = f"The nearest name is '{near}'" if near else f"Write ef, af11 to af43, cs0 to cs7, be or 0 to {_HIGHEST}"
    raise BadValue(f"{quoted(text)} is not a code point", remedy)


def code_point_text(number: int) -> str:
    """46 -> 'ef'; the number where it has no name."""
    return _NAMES.get(number, str(number))
