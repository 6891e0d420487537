"""weir explain."""

from __future__ import annotations


def explain(target: str) -> None:
    """x"""
