"""Laws are tried on the same cases in every run, so that a run that fails means a change in the program.

WEIR_LAWS=search tries other cases each time, and more of them: that is how new ones are found. How long a case takes to
make is the machine's affair, and no fault of a law.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow]
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("search", derandomize=False, deadline=None, suppress_health_check=_SLOW)
settings.load_profile("search" if os.environ.get("WEIR_LAWS") == "search" else "same")
