"""How fast Weir is, always beside a peer or a limit that was measured in the same run."""
