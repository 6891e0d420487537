"""A Ryu application: the real controller in which nobody looks for drift or counts rules, so that the loop is left."""

from __future__ import annotations

import sys

from controller.runtime import keeper, rule_counters

NEVER_S = 1e6

if "ryu.base.app_manager" in sys.modules:  # loaded by ryu-manager
    keeper.AUDIT_S = rule_counters.INTERVAL_S = NEVER_S

    import controller.app

    class OnlyLoop(controller.app.WeirApp):
        pass
