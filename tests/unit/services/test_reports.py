"""When a VIF is reported, in virtual time."""

from __future__ import annotations

from controller.services.reports import PERIOD_S, ReportBook


def test_a_change_is_reported_at_once_and_the_next_a_period_later() -> None:
    book = ReportBook()
    assert book.due(0.0) == []
    book.changed([1], 0.0)
    assert book.due(0.0) == [1] and book.due(10.0) == []
    book.changed([1], 10.0)
    assert book.due(10.0) == [1]
    book.changed([1], 10.1)
    book.changed([2], 10.1)
    assert book.due(10.1) == [2] and book.due(10.9 * PERIOD_S) == [] and book.due(10.0 + PERIOD_S) == [1]


def test_however_often_it_changes_a_vif_is_reported_once_a_period() -> None:
    book, reports = ReportBook(), 0
    for tenth in range(100):
        book.changed([1], tenth / 10)
        reports += len(book.due(tenth / 10))
    assert 9 <= reports * PERIOD_S <= 11


def test_those_that_change_together_are_reported_together() -> None:
    book = ReportBook()
    book.changed([1], 0.0)
    book.due(0.0)
    book.changed([2, 1], 0.5)
    assert book.due(0.9) == [] and sorted(book.due(PERIOD_S)) == [1, 2]
