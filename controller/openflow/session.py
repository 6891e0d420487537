"""One connected switch: sends messages, waits for what they bring back, from any green thread but Ryu's own handlers.

Ryu reads and writes the socket. What answers a batch of ours is taken from it as bytes, before it is parsed
(`SwitchSession.take`), and parsed in the green thread that waits: 10,000 flow statistics do not stall the loop.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from ryu.lib import hub

from controller.openflow.errors import (
    ReplyOverdue,
    RequestRefused,
    SessionLost,
    SwitchError,
    decode_error,
)
from controller.openflow.punts import encode_packet_out
from controller.openflow.wire import MAX_XID, Frame, Type, barrier_request, more_follows

LOG = logging.getLogger("weir.openflow")
ANSWER_S = 30.0  # a busy vswitchd takes seconds for a large bundle
_MESSAGES_A_SEND = 256
_MOST_FRAMES = 256  # that wait to be sent out of ports
_ANSWERS = frozenset({Type.ERROR, Type.EXPERIMENTER, Type.MULTIPART_REPLY, Type.BARRIER_REPLY})


class Datapath(Protocol):
    """What a session needs of Ryu's Datapath. send: False when the connection has ended."""

    id: int
    xid: int

    def send(self, buf: bytes) -> bool: ...

    def close(self) -> None: ...


class Batch:
    """Messages under consecutive xids, and what the switch says about them.

    errors: by the message's index. replies: to multipart requests and to the last message, in order; complete once
    `done` is set.
    """

    def __init__(self, first_xid: int, count: int):
        self.errors: dict[int, SwitchError] = {}
        self.replies: list[bytes] = []
        self.done = hub.Event()
        self._first_xid = first_xid
        self._count = count
        self._encoded = 0

    def encode(self, frame: Frame) -> bytes:
        """The message under the batch's next xid."""
        assert self._encoded < self._count, f"a batch of {self._count} messages was given more"
        self._encoded += 1
        return frame(self._first_xid + self._encoded - 1)

    def index(self, xid: int) -> int | None:
        index = xid - self._first_xid
        return index if 0 <= index < self._count else None

    def take(self, index: int, kind: int, message: bytes) -> None:
        last = index == self._count - 1
        if kind == Type.ERROR:
            self.errors.setdefault(index, decode_error(message))
        elif last or kind == Type.MULTIPART_REPLY:
            self.replies.append(message)
        if last and not more_follows(message):
            self.done.set()


class SwitchSession:
    """datapath_id: 16 hex digits. answer_s: how long a barrier or a question may take."""

    def __init__(self, datapath: Datapath, answer_s: float = ANSWER_S):
        self.datapath_id = f"{datapath.id:016x}"
        self._datapath = datapath
        self._answer_s = answer_s
        self._batches: list[Batch] = []
        self._bundle_ids = itertools.count(1)
        self._lost = False
        self._frames: deque[tuple[tuple[int, ...], bytes]] = deque(maxlen=_MOST_FRAMES)
        self._sends_frames = False

    @property
    def alive(self) -> bool:
        return not self._lost

    def next_bundle_id(self) -> int:
        return next(self._bundle_ids) & MAX_XID

    @contextmanager
    def batch(self, count: int) -> Iterator[Batch]:
        """Reserves xids for `count` messages and collects the errors that they meet until the block ends."""
        batch = Batch(self._reserve_xids(count), count)
        self._batches.append(batch)
        try:
            yield batch
        finally:
            self._batches.remove(batch)

    def send(self, batch: Batch, frames: Iterable[Frame]) -> None:
        """Sends the next messages of a batch, many in one write, letting others run in between. Raises SessionLost."""
        waiting = iter(frames)
        while chunk := list(itertools.islice(waiting, _MESSAGES_A_SEND)):
            if self._lost or not self._datapath.send(b"".join(map(batch.encode, chunk))):
                raise SessionLost(f"switch {self.datapath_id} has gone")
            hub.sleep(0)

    def barrier(self) -> None:
        """Returns when the switch has done all that was sent before; their errors are known by then.

        Raises SessionLost or ReplyOverdue.
        """
        self.ask(barrier_request)

    def ask(self, frame: Frame) -> Sequence[bytes]:
        """Sends one request; the messages, whole, that answer it. Raises SessionError."""
        with self.batch(1) as batch:
            self.send(batch, [frame])
            self._await(batch)
            if batch.errors:
                raise RequestRefused(f"switch {self.datapath_id}: {batch.errors[0]}")
            return batch.replies

    def ask_all(self, requests: Sequence[Frame]) -> Sequence[bytes]:
        """Sends many multipart requests at once; the messages, whole, that answer them, in order.

        Of one that is refused there is none. Raises SessionLost or ReplyOverdue.
        """
        with self.batch(len(requests) + 1) as batch:
            self.send(batch, [*requests, barrier_request])
            self._await(batch)
            return [reply for reply in batch.replies if reply[1] == Type.MULTIPART_REPLY]

    def _await(self, batch: Batch) -> None:
        answered = batch.done.wait(self._answer_s)
        if self._lost:
            raise SessionLost(f"switch {self.datapath_id} has gone")
        if not answered:
            raise ReplyOverdue(f"switch {self.datapath_id} has not answered within {self._answer_s:g} s")

    def deliver(self, frames: Sequence[Frame]) -> dict[int, SwitchError]:
        """Sends the messages and a barrier; errors by index of their message. Raises SessionLost or ReplyOverdue."""
        if not frames:
            return {}
        with self.batch(len(frames)) as batch:
            self.send(batch, frames)
            self.barrier()
            return dict(batch.errors)

    def packet_out(self, port: int, frame: bytes) -> None:
        """Sends a frame out of a port, some time: returns at once, from Ryu's own handlers too, and tells no errors.

        Of the frames that a busy switch does not take the newest are kept: to wait for room where messages are received
        would keep the switch from emptying its own buffers.
        """
        self.flood((port,), frame)

    def flood(self, ports: Sequence[int], frame: bytes) -> None:
        """Likewise out of several ports."""
        self._frames.append((tuple(ports), frame))
        if not self._sends_frames:
            self._sends_frames = True
            hub.spawn(self._send_frames)

    def _send_frames(self) -> None:
        while self._frames and not self._lost:
            self._datapath.send(encode_packet_out(self._reserve_xids(1), *self._frames.popleft()))
        self._sends_frames = False

    def take(self, kind: int, xid: int, message: bytes) -> bool:
        """Called with each message that arrives, unparsed; True when it answers a batch and nobody else needs it."""
        if kind not in _ANSWERS:
            return False
        for batch in self._batches:
            index = batch.index(xid)
            if index is not None:
                batch.take(index, kind, message)
                return True
        if kind == Type.ERROR:
            LOG.warning("switch %s: error nobody waits for (xid %#x): %s", self.datapath_id, xid, decode_error(message))
        return False

    def close(self) -> None:
        """Ends the connection and wakes everyone who waits for an answer; they get SessionLost."""
        self._lost = True
        for batch in self._batches:
            batch.done.set()
        self._datapath.close()

    def _reserve_xids(self, count: int) -> int:
        """The first of `count` consecutive xids, taken from the counter from which Ryu numbers its own messages."""
        first = self._datapath.xid + 1
        if first + count > MAX_XID:
            first = 1
        self._datapath.xid = first + count - 1
        return first
