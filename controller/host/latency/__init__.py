"""How long the frames of this host's VIFs are under way, measured by frames of our own."""
