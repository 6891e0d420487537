"""What the tests of wrong policies share."""

import pytest

from policies.errors import PolicyErrors
from policies.parser import parse

WRITE_LINES = "Write 'key: value' lines."
NAME = "Use letters, digits, '.', '_' and '-', at most 63, beginning with a letter, a digit or '_'."
EMPTY = "is empty. Write '{}' where there is nothing to say, or remove the key."


def lines(*texts: str, **files: str) -> list[str]:
    """The error lines of one text (file p.yaml), or of several files by name."""
    named = {f"{name}.yaml": text for name, text in files.items()} or {"p.yaml": "".join(texts)}
    with pytest.raises(PolicyErrors) as raised:
        parse(named)
    assert str(raised.value).split("\n") == [str(error) for error in raised.value.errors]
    return [str(error) for error in raised.value.errors]
