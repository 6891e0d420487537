from __future__ import annotations

import pytest

from controller.intent.errors import Rejected
from controller.intent.history import target_of
from ovsdb.rows import PolicyVersion

HISTORY = [PolicyVersion(number, 0.0, "root", "", {}) for number in (2, 3, 5)]


@pytest.mark.parametrize(("in_force", "asked", "target"), [(5, None, 3), (3, None, 2), (5, 2, 2), (5, 5, 5)])
def test_the_version_to_go_back_to(in_force: int, asked: int | None, target: int) -> None:
    assert target_of(HISTORY, in_force, asked).version == target


@pytest.mark.parametrize(
    ("history", "in_force", "asked", "words"),
    [
        ([], 0, None, "no policy was applied yet. Apply one: weir policy apply FILE."),
        ([], 0, 1, "no policy was applied yet."),
        (HISTORY, 2, None, "there is no policy version before 2."),
        (HISTORY, 5, 4, "there is no policy version 4: the newest is 5. See weir policy history."),
        (HISTORY, 5, 0, "there is no policy version 0"),
    ],
)
def test_there_is_none(history: list[PolicyVersion], in_force: int, asked: int | None, words: str) -> None:
    with pytest.raises(Rejected) as rejected:
        target_of(history, in_force, asked)
    assert words in rejected.value.lines[0]
