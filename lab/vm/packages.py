"""Debian packages fetched and unpacked below one directory. Nothing is installed, nothing of the machine's changes.

apt works on lists and a cache of its own, with the sources that the machine has and backports beside them.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_MACHINES_LIST = Path("/etc/apt/sources.list")
_MACHINES_LISTS = Path("/etc/apt/sources.list.d")
_BACKPORTS = (
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
    "http://deb.debian.org/debian {codename}-backports main\n"
)
_MOST_S = 600.0


class Unavailable(RuntimeError):
    """Something of the lab cannot be had on this machine: what, why, and what to do."""


class Packages:
    def __init__(self, directory: Path) -> None:
        """directory: of the lists and the cache; made when absent."""
        self._sources, self._lists, self._cache = directory / "sources", directory / "lists", directory / "cache"
        for path in (self._sources, self._lists / "partial", self._archives / "partial"):
            path.mkdir(parents=True, exist_ok=True)

    def update(self) -> None:
        """Reads the lists anew. A source that does not answer is none: what it alone has cannot be fetched then."""
        for old in self._sources.iterdir():
            old.unlink()
        for source in (_MACHINES_LIST, *sorted(_MACHINES_LISTS.glob("*"))):
            if source.is_file() and source.suffix in (".list", ".sources"):
                (self._sources / source.name).symlink_to(source)
        if codename := debian_codename():
            (self._sources / "weir-lab-backports.list").write_text(_BACKPORTS.format(codename=codename))
        self._run("apt-get", "--quiet", "update", check=False)

    def depends(self, package: str) -> list[str]:
        """Names of what the newest version needs; [] also when there is no such package."""
        lines = [line.split() for line in self._run("apt-cache", "depends", package, check=False).splitlines()]
        return [words[1] for words in lines if words[0] == "Depends:"]

    def version(self, package: str) -> str | None:
        """The one that apt would install."""
        lines = [line.split() for line in self._run("apt-cache", "policy", package, check=False).splitlines()]
        return next((words[1] for words in lines if words[0] == "Candidate:" and words[1] != "(none)"), None)

    def fetch(self, into: Path, *packages: str) -> None:
        """Unpacks the packages, each `name` or `name=version`, into the directory. Raises Unavailable."""
        for name in packages:
            self._run("apt-get", "--quiet", "download", name, cwd=self._archives)
            self._unpack(into)

    def fetch_file(self, package: str, member: str, into: Path) -> None:
        """Writes one file of a package, named as in the package (./usr/...), to `into`. Raises Unavailable."""
        self._run("apt-get", "--quiet", "download", package, cwd=self._archives)
        (archive,) = self._archives.glob("*.deb")
        with into.open("wb") as output:
            contents = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE)
            taken = subprocess.run(["tar", "-xO", member], stdin=contents.stdout, stdout=output, check=False)
            contents.communicate()
        archive.unlink()
        if taken.returncode != 0:
            raise Unavailable(f"the package {package} has no {member}")

    def fetch_with_needs(self, into: Path, *packages: str, release: str | None = None) -> None:
        """Unpacks the packages, those that are installed here too, and what they need that is not. Raises Unavailable.

        release: whose versions; None: those that apt would install.
        """
        options = ["--yes", "--reinstall", "--no-install-recommends", "--download-only"]
        options += ["--option", "Debug::NoLocking=1"]
        if release is not None:
            options.append(f"--target-release={release}")
        self._run("apt-get", "--quiet", *options, "install", *packages)
        self._unpack(into)

    @property
    def _archives(self) -> Path:
        return self._cache / "archives"

    def _unpack(self, into: Path) -> None:
        """Everything that was downloaded, which goes then."""
        into.mkdir(parents=True, exist_ok=True)
        for archive in sorted(self._archives.glob("*.deb")):
            self._run("dpkg-deb", "--extract", str(archive), str(into))
            archive.unlink()

    def _run(self, program: str, *arguments: str, cwd: Path | None = None, check: bool = True) -> str:
        settings = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": str(self._sources),
            "Dir::State::lists": str(self._lists),
            "Dir::Cache": str(self._cache),
            "APT::Sandbox::User": "root",  # else apt reads and writes as a user who may not enter here
        }
        options = [f"--option={name}={value}" for name, value in settings.items()] if program.startswith("apt") else []
        argv, environment = [program, *options, *arguments], {**os.environ, "LC_ALL": "C"}
        try:
            done = subprocess.run(
                argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=_MOST_S, check=False
            )
        except FileNotFoundError:
            raise Unavailable(f"the program {program} is missing: the lab is made of Debian packages") from None
        if check and done.returncode != 0:
            said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            raise Unavailable(f"{program} {' '.join(arguments)}: {' '.join(said[-2:])}")
        return done.stdout


def debian_codename() -> str | None:
    """bookworm, trixie; None on another distribution."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("VERSION_CODENAME") if values.get("ID") == "debian" else None
