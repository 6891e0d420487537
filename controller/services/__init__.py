"""What the controller says to packets that switches send up: frames in, frames out. Pure."""
