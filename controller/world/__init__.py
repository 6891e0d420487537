"""What the Weir DB says at a moment, as values for everybody who acts on it. Pure."""
