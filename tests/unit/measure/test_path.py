"""Of loss: what the way lost, and what an instance left unanswered."""

import pytest

from controller.measure.path import PathFigures


def figures(loss: float | None, unanswered: float = 0.0, probes: int = 100) -> PathFigures:
    return PathFigures(None, None, None, loss, probes, 10.0, unanswered)


def test_what_is_left_unanswered_is_no_loss_of_the_way() -> None:
    assert figures(0.02).way_loss == 0.02
    assert figures(0.5, 0.5).way_loss == 0.0
    assert figures(0.6, 0.5).way_loss == pytest.approx(0.2)  # 10 of the 50 that tell


@pytest.mark.parametrize("one", [figures(None), figures(1.0, 1.0), figures(1.0, 0.9, 20)])
def test_too_few_say_nothing_of_the_way(one: PathFigures) -> None:
    assert one.way_loss is None


def test_three_say_something() -> None:
    assert figures(0.7, 0.7, 10).way_loss == 0.0
