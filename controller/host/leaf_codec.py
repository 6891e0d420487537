"""RED and fq_codel as the kernel's options and back. Pure.

Source: linux/pkt_sched.h, tc_red_qopt and TCA_FQ_CODEL_*.
"""

from __future__ import annotations

import struct

from controller.host.congestion import FqCodelPlan, RedPlan
from controller.host.qdisc_frames import attribute, attributes

_RED = struct.Struct("=IIIBBBB")  # limit, least, most, logs of weight, probability and cell, flags
_RED_PARAMETERS, _RED_STAB, _RED_MOST_PROBABILITY = 1, 2, 3
_RED_ECN = 1
_STAB_CELLS, _MOST_SHIFT = 256, 31
_U32 = struct.Struct("=I")
_TARGET, _LIMIT, _INTERVAL, _ECN, _QUANTUM, _MEMORY = 1, 2, 3, 4, 6, 9


def red_options(item: RedPlan) -> bytes:
    logs = item.weight_log, item.probability_log, item.cell_log
    body = _RED.pack(item.limit_bytes, item.least_bytes, item.most_bytes, *logs, _RED_ECN if item.ecn else 0)
    # how often the average is halved after an idle time, by the number of cells that it lasted
    stab = bytes(cell * _MOST_SHIFT // (_STAB_CELLS - 1) for cell in range(_STAB_CELLS))
    probability = (item.most_bytes - item.least_bytes) << (32 - item.probability_log)
    return (
        attribute(_RED_PARAMETERS, body)
        + attribute(_RED_STAB, stab)
        + attribute(_RED_MOST_PROBABILITY, _U32.pack(min(probability, 0xFFFFFFFF)))
    )


def red(own: bytes) -> RedPlan:
    limit, least, most, weight, probability, cell, flags = _RED.unpack_from(dict(attributes(own))[_RED_PARAMETERS])
    return RedPlan(limit, least, most, weight, probability, cell, bool(flags & _RED_ECN))


def fq_codel_options(item: FqCodelPlan) -> bytes:
    """Without the number of flows: the kernel takes that of a new one only."""
    figures = {
        _TARGET: item.target_us,
        _LIMIT: item.limit_packets,
        _INTERVAL: item.interval_us,
        _ECN: int(item.ecn),
        _QUANTUM: item.quantum_bytes,
        _MEMORY: item.memory_bytes,
    }
    return b"".join(attribute(key, _U32.pack(figure)) for key, figure in figures.items())


def fq_codel(own: bytes) -> FqCodelPlan:
    nested = dict(attributes(own))
    keys = _LIMIT, _MEMORY, _TARGET, _INTERVAL, _QUANTUM, _ECN
    limit, memory, target, interval, quantum, ecn = (_U32.unpack_from(nested[key])[0] for key in keys)
    return FqCodelPlan(limit, memory, target, interval, quantum, bool(ecn))
