"""The weir command. It imports what a command needs when that is called, so that every one of them starts quickly."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import nullcontext

MOST_YOUNG = 100_000  # objects: a command ends before there are so many, and is spared looking for cycles among them
LASTING = ["agent"]  # commands that deal with signals themselves


def main() -> None:
    """Exit status: 0 done; 1 failed, nothing half-done; 2 the input is wrong; 130, 143, 129 stopped by SIGINT, SIGTERM,
    SIGHUP. `policy plan`: 3 there is a change. `trace`: 1 policy and switch disagree."""
    gc.set_threshold(MOST_YOUNG)
    from controller.cli.stopping import stoppable

    with nullcontext() if sys.argv[1:2] == LASTING else stoppable():
        _run()


def _run() -> None:
    from controller.cli.commands import tree
    from controller.cli.failures import status_of
    from controller.cli.output import say

    try:
        tree().main(prog_name="weir")
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as fault:
        status = status_of(fault)
        if status is None:
            raise
        say(str(fault))
        sys.exit(status)
    finally:
        gc.freeze()  # nor does its end look at each of them


if __name__ == "__main__":
    main()
