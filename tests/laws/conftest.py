"""Laws are tried on the same cases in every run, so that a run that fails means a change in the program.

WEIR_LAWS=search tries other cases each time, and more of them: that is how new ones are found.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile("search" if os.environ.get("WEIR_LAWS") == "search" else "same")
