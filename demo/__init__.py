"""`make demo`: the main job, shown and judged on a real system. `python -m demo`, as root."""
