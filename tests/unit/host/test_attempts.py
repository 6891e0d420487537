from __future__ import annotations

from itertools import pairwise

from controller.host.attempts import AUDITS_PER_S, LONGEST_PAUSE_S, Attempts
from controller.host.errors import HostError

AUDIT_S = 5.0


class Action:
    """Counts its runs, and fails while `fault` is set."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.runs = 0
        self.fault = fault

    def __call__(self) -> None:
        self.runs += 1
        if self.fault is not None:
            raise self.fault


def test_what_is_fine_is_looked_at_again_only_by_the_audit() -> None:
    attempts, action = Attempts[str]("thing", AUDIT_S), Action()
    for now_s in (0, 1, AUDIT_S / 2 - 0.1):
        assert attempts.attempt("a", "x", action, now_s) is None
    assert action.runs == 1
    attempts.attempt("a", "x", action, AUDIT_S)
    assert action.runs == 2


def test_what_is_wanted_differently_is_done_at_once() -> None:
    attempts, action = Attempts[str]("thing", AUDIT_S), Action(HostError("no", "Wait"))
    attempts.attempt("a", "x", action, 0)
    attempts.attempt("a", "y", action, 0)
    assert action.runs == 2


def test_a_failure_keeps_its_words_and_is_retried_ever_later() -> None:
    attempts, action = Attempts[str]("thing", AUDIT_S), Action(HostError("no link", "Make one"))
    runs_at = []
    for tick in range(1200):
        before = action.runs
        assert attempts.attempt("a", "x", action, tick / 10) == "no link. Make one."
        if action.runs > before:
            runs_at.append(tick / 10)
    pauses = [later - earlier for earlier, later in pairwise(runs_at)]
    assert pauses == sorted(pauses) and pauses[0] < 1 and abs(pauses[-1] - LONGEST_PAUSE_S) < 0.2
    action.fault = None
    assert attempts.attempt("a", "x", action, 1000) is None


def test_an_unexpected_fault_stays_with_its_key() -> None:
    attempts = Attempts[str]("thing", AUDIT_S)
    error = attempts.attempt("a", "x", Action(ZeroDivisionError("by zero")), 0)
    assert error is not None and "fault of Weir" in error
    assert attempts.attempt("b", "x", Action(), 0) is None


def test_what_somebody_saw_to_be_wrong_does_not_wait_for_the_audit() -> None:
    attempts, action = Attempts[str]("thing", AUDIT_S), Action()
    attempts.attempt("a", "x", action, 0)
    attempts.again("a")
    attempts.attempt("a", "x", action, 0.1)
    attempts.attempt("a", "x", action, 0.2)
    assert action.runs == 2
    action.fault = HostError("no", "Wait")
    attempts.again("a")
    attempts.attempt("a", "x", action, 0.3)
    attempts.again("a")  # what fails keeps its pause
    attempts.attempt("a", "x", action, 0.4)
    assert action.runs == 3


def test_audits_of_many_take_turns_and_none_is_left_out() -> None:
    attempts, count = Attempts[str]("thing", AUDIT_S), 1000
    actions = [Action() for _ in range(count)]
    for number, action in enumerate(actions):
        attempts.attempt(str(number), "x", action, 0)
    period_s = attempts.audit_period_s
    assert period_s == count / AUDITS_PER_S > AUDIT_S
    before = count
    for now_s in range(1, round(3 * period_s) + 1):
        for number, action in enumerate(actions):
            attempts.attempt(str(number), "x", action, now_s)
        done, before = sum(action.runs for action in actions) - before, sum(action.runs for action in actions)
        assert done <= 5 * AUDITS_PER_S  # passes each second: some fall together
        if now_s == period_s:
            assert all(action.runs >= 2 for action in actions)
    assert before - count <= 3 * period_s * AUDITS_PER_S * 1.5


def test_what_is_not_kept_starts_anew() -> None:
    attempts, action = Attempts[str]("thing", AUDIT_S), Action()
    attempts.attempt("a", "x", action, 0)
    attempts.attempt("b", "x", action, 0)
    assert attempts.keep({"b"}) == ["a"]
    attempts.attempt("a", "x", action, 0)
    attempts.attempt("b", "x", action, 0)
    assert action.runs == 3


def test_a_repair_is_what_an_action_did_though_nothing_else_was_wanted() -> None:
    told: list[tuple[str, object]] = []
    attempts = Attempts[str]("thing", AUDIT_S, on_repair=lambda key, done: told.append((key, done)))
    fault = HostError("no", "Wait")
    for wanted, done, now_s in (("x", ["made"], 0), ("y", ["changed"], 1), ("y", [], 10), ("y", ["mended"], 20)):
        attempts.attempt("a", wanted, lambda done=done: done, now_s)  # type: ignore[misc]
    attempts.attempt("a", "y", Action(fault), 40)
    attempts.attempt("a", "y", lambda: ["at last"], 60)
    assert told == [("a", ["mended"])]


def test_what_somebody_keeps_changing_is_mended_once_a_second() -> None:
    runs: list[float] = []
    attempts = Attempts[str]("thing", AUDIT_S)
    for tick in range(50):
        attempts.attempt("a", "x", lambda at_s=tick / 10: runs.append(at_s) or [at_s], tick / 10)  # type: ignore
        attempts.again("a")
    assert len(runs) >= 4 and all(later - earlier >= 0.99 for earlier, later in pairwise(runs[1:]))
