"""A running system from Python, and what the command line itself uses. What is public is in the package `weir`."""
