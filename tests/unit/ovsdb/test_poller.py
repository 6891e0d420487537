from __future__ import annotations

import os

from ovsdb.poller import POLLIN, POLLOUT, Poller


def test_it_tells_which_descriptors_are_ready() -> None:
    reader, writer = os.pipe()
    try:
        poller = Poller()
        poller.fd_wait(reader, POLLIN)
        assert poller.block(0) == frozenset()
        poller.fd_wait(reader)
        poller.fd_wait(writer, POLLOUT)
        assert poller.block(10) == {writer}
        os.write(writer, b"x")
        poller.fd_wait(reader)
        assert poller.block(None) == {reader}
    finally:
        os.close(reader)
        os.close(writer)


def test_the_first_timer_ends_the_wait_and_registrations_hold_once() -> None:
    poller = Poller()
    poller.timer_wait(3_600_000)
    poller.timer_wait(1)
    assert poller.block() == frozenset()
    poller.timer_wait(3_600_000)
    poller.immediate_wake()
    assert poller.block() == frozenset()
    assert poller.block(0.001) == frozenset()
