"""A Debian kernel with its modules, unpacked in a directory, and archives to boot it from."""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.vm.cpio import Member, archive

_DIRECTORIES = ("bin", "dev", "proc", "sys", "root", "below", "memory", "modules")


@dataclass(frozen=True, slots=True)
class Kernel:
    """directory: of vmlinuz, busybox (statically linked) and lib/modules, which a guest has there too."""

    directory: Path
    release: str

    @property
    def image(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def modules(self) -> Path:
        return self.directory / "lib" / "modules"

    @property
    def busybox(self) -> Path:
        return self.directory / "busybox"

    def initramfs(self, init: bytes, modules: Iterable[str], members: Iterable[Member] = ()) -> bytes:
        """An archive to boot from: busybox, `init` as the first process, modules with all that they need.

        The modules lie in /modules; /modules/order names them, a line each, in the order in which they are loaded.
        """
        files = {_plain_name(path): path for path in self._with_needs(modules)}
        return archive(
            [
                *map(Member, _DIRECTORIES),
                Member("bin/busybox", self.busybox.read_bytes()),
                Member("init", init),
                Member("modules/order", "".join(f"{name}\n" for name in files).encode()),
                *(Member(f"modules/{name}", read_module(path)) for name, path in files.items()),
                *members,
            ]
        )

    def _with_needs(self, modules: Iterable[str]) -> list[Path]:
        """Files of the modules, each behind those that it needs. One that is built in has none."""
        tree, found = self.modules / self.release, list[Path]()
        needs = dict(line.split(":", 1) for line in (tree / "modules.dep").read_text().splitlines())
        by_name = {_plain_name(Path(path)).replace("-", "_"): path for path in needs}
        for name in modules:
            if path := by_name.get(f"{name}.ko".replace("-", "_")):
                found += [tree / one for one in (*reversed(needs[path].split()), path)]
        return list(dict.fromkeys(found))


def read_module(path: Path) -> bytes:
    """A module as it is loaded, whether or not its file is compressed."""
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".xz")
