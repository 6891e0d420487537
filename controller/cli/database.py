"""The Weir DB of the state directory that a command was given."""

from __future__ import annotations

from controller.client.connection import opened

__all__ = ["opened"]
