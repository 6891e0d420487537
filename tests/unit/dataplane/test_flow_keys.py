from __future__ import annotations

import pickle
import subprocess
import sys

from controller.dataplane.entries import FlowKey
from controller.dataplane.match import match


def test_equal_keys_are_one_key() -> None:
    one, other = FlowKey(1, 2, match(in_port=3, eth_type=0x800)), FlowKey(1, 2, match(eth_type=0x800, in_port=3))
    assert one == other and hash(one) == hash(other) and {one: 1}[other] == 1
    assert one != FlowKey(1, 3, one.match) and FlowKey(1, 1, one.match) < one
    assert repr(one).startswith("FlowKey(table=1, priority=2, match=Match(") and "hash" not in repr(one)


def test_a_key_from_another_process_is_found_here() -> None:
    """Hashes of texts differ between processes."""
    key = FlowKey(1, 2, match(in_port=3))
    program = "import pickle, sys; sys.stdout.buffer.write(pickle.dumps(pickle.loads(sys.stdin.buffer.read())))"
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(key), capture_output=True, check=True)
    assert pickle.loads(done.stdout) in {key}
