"""Which modules of this directory want the machine for themselves; the others run two at a time.

tests/unit/lab/test_alone.py looks that every module is named here that measures.
"""

from __future__ import annotations

import re

MEASURING = re.compile(
    r"\.(kbps|measure|longest_\w+_s|percentile_ms)\(|\b(assert_shares|assert_arrives|assert_waits|passed_pps)\(|"
    r"\bgoodput_kbps\b|\.(last_s|after_s)\b|monotonic\(\) - \w+ <|\btook_s\b"
)  # rates, waits, how soon something happened
ALONE = frozenset(
    {
        "test_acceptance",
        "test_acceptance_loop",
        "test_acceptance_survival",
        "test_buffer_latency",
        "test_class_queues",
        "test_containers",
        "test_cpu_budget",
        "test_drift",
        "test_egress_precision",
        "test_language_identity",
        "test_language_rates",
        "test_language_refusals",
        "test_language_under_traffic",
        "test_limits_under_change",
        "test_loop_adversary",
        "test_loop_bursty",
        "test_loop_incast",
        "test_loop_step",
        "test_loop_seen",
        "test_meaning_of_connections",  # a switch loses some of many thousand packets when the machine is busy
        "test_meaning_of_floods",  # as well
        "test_objectives",
        "test_packet_bounds_on_ovs",
        "test_probes",
        "test_probes_between_hosts",
        "test_qdisc_trees",
        "test_router_rates",
        "test_router_sizes",
        "test_tcp_in_classes",
        "test_three_tenants",
    }
)
