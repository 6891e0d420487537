"""Records of a bursty day as nobody has measured them: what came is what the law gives, or a part of that."""

from __future__ import annotations

from lab.bursty import day, flows, law
from lab.bursty_figures import Record
from lab.frames import UDP_HEADERS_BYTES
from lab.windows import BIN_S, Arrivals


def _arrivals(kbps: list[float], begin_s: float) -> Arrivals:
    """So much in each second from then on, evenly."""
    found = Arrivals()
    per_second = round(1 / BIN_S)
    for second, rate in enumerate(kbps):
        for part in range(per_second):
            number = round((begin_s + second) / BIN_S) + part
            found.add(number, 1, round(rate * 125 * BIN_S) - UDP_HEADERS_BYTES)
    return found


def record(part: float = 1.0, of: frozenset[str] = frozenset()) -> Record:
    """A day of seconds that brings to all what the law gives, and to some only a part of that."""
    one, begin_s = day(1, 1.0), 1000.0
    wanted = {vif: list(kbps) for vif, kbps in one.wanted_kbps.items()}
    shares = [law(one.at(hour)) for hour in range(one.hours)]
    got = {vif: [share[vif] * (part if vif in of else 1.0) for share in shares] for vif in wanted}
    return Record(
        one,
        tuple(flows()),
        begin_s,
        {vif: _arrivals([max(1.0, one) for one in kbps], begin_s) for vif, kbps in wanted.items()},
        {vif: _arrivals([max(1.0, one) for one in kbps], begin_s) for vif, kbps in got.items()},
    )
