"""What TCP has lost, as the kernel of its namespace counts, and what a device has taken in."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from lab.children import run, within


@dataclass(frozen=True, slots=True)
class Seen:
    """Until at_s (CLOCK_MONOTONIC). lost: segments that were sent again, but for those that the receiver had twice."""

    at_s: float
    frames: int
    frame_bytes: int
    lost: int

    def kbps(self, since: Seen) -> float:
        """Frames without FCS."""
        return (self.frame_bytes - since.frame_bytes) / 125 / (self.at_s - since.at_s)

    def lost_part(self, since: Seen) -> float:
        return (self.lost - since.lost) / max(1, self.frames - since.frames)


def seen(sender: str, receiver: str, device: str) -> Seen:
    """sender: the namespace whose only TCP connections are the ones observed. device: where their frames arrive."""
    begun_s = time.monotonic()
    (link,) = json.loads(run(within(receiver, ["ip", "-json", "-s", "link", "show", "dev", device])))
    at_s, taken = (begun_s + time.monotonic()) / 2, link["stats64"]["rx"]
    counts = json.loads(run(within(sender, ["nstat", "-asz", "--json"])))["kernel"]
    lost = counts["TcpRetransSegs"] - counts["TcpExtTCPDSACKRecv"] - counts["TcpExtTCPDSACKOfoRecv"]
    return Seen(at_s, taken["packets"], taken["bytes"], lost)
