"""Numbers of requests, which have an end."""

from __future__ import annotations

import pytest

from controller.host.link_codec import ask_link
from controller.host.qdisc_socket import QdiscSocket


@pytest.mark.parametrize("left", range(4))
def test_the_numbers_of_requests_begin_again_before_they_end(left: int) -> None:
    with QdiscSocket() as asking:
        asking._sequence = 2**32 - 1 - left
        for _ in range(2):
            assert all(isinstance(answer, bytes) for answer in asking.ask([ask_link("lo")] * 3))
