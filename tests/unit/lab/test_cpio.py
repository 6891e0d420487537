from __future__ import annotations

import subprocess
from pathlib import Path

from lab.vm.cpio import Member, archive


def test_another_program_unpacks_what_was_packed(tmp_path: Path) -> None:
    """busybox, as in the guests."""
    members = [Member("bin"), Member("bin/tool", b"#!/bin/sh\n"), Member("odd", b"12345"), Member("empty", b"")]
    listed = subprocess.run(
        ["busybox", "cpio", "-t"], input=archive(members), capture_output=True, check=True, cwd=tmp_path
    ).stdout.decode()
    assert listed.split() == ["bin", "bin/tool", "odd", "empty", "dev/console"]
    subprocess.run(["busybox", "cpio", "-i", "odd", "bin/tool", "-d"], input=archive(members), check=True, cwd=tmp_path)
    assert (tmp_path / "odd").read_bytes() == b"12345"
    assert (tmp_path / "bin/tool").stat().st_mode & 0o111


def test_every_part_is_padded_to_four_bytes() -> None:
    whole = archive([Member("a", b"x"), Member("ab", b"xy"), Member("abc", b"xyz")])
    assert len(whole) % 4 == 0
    starts = [at for at in range(len(whole)) if whole.startswith(b"070701", at)]
    assert len(starts) == 5 and all(at % 4 == 0 for at in starts)
