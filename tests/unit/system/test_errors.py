"""A fault reads as sentences, whatever its remedy ends in."""

from __future__ import annotations

import pytest

from controller.system.errors import SystemFault


@pytest.mark.parametrize(
    ("remedy", "text"),
    [
        ("See weir vif list", "there is no VIF 'a'. See weir vif list."),
        ("Did you mean 'b'?", "there is no VIF 'a'. Did you mean 'b'?"),
        ("It said:\nlast line", "there is no VIF 'a'. It said:\nlast line"),
    ],
)
def test_a_remedy_ends_as_a_sentence_does(remedy: str, text: str) -> None:
    assert str(SystemFault("there is no VIF 'a'", remedy)) == text
