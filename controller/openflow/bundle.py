"""Many changes of flow entries as one."""

from __future__ import annotations

from collections.abc import Sequence

from controller.openflow.bundle_codec import Control, add, control
from controller.openflow.errors import SwitchError
from controller.openflow.session import SwitchSession
from controller.openflow.wire import Frame

WHOLE = -1  # stands for the bundle itself where an error belongs to none of its messages


def deliver_bundle(session: SwitchSession, frames: Sequence[Frame]) -> dict[int, SwitchError]:
    """Does all of the flow-mods or none. Empty when all are in force; else why none is, by index of the message.

    A message that cannot be read is refused when it is added, and Open vSwitch would still commit the rest: so the
    errors are awaited before the commit. Raises SessionLost or ReplyOverdue: then the switch drops an open bundle
    after ten seconds, and only reading it tells whether a commit got through.
    """
    bundle_id = session.next_bundle_id()
    with session.batch(len(frames) + 2) as batch:
        session.send(batch, [control(bundle_id, Control.OPEN), *(add(bundle_id, frame) for frame in frames)])
        session.barrier()
        verdict = Control.DISCARD if batch.errors else Control.COMMIT
        session.send(batch, [control(bundle_id, verdict)])
        session.barrier()
        errors = batch.errors
    of_messages = {index - 1: error for index, error in errors.items() if 0 < index <= len(frames)}
    if errors and not of_messages:
        return {WHOLE: errors[min(errors)]}
    return of_messages
