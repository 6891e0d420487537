"""Files of policy text to one checked policy set. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policies.checks import refuse_impossible_guarantees
from policies.errors import Place, Problems, TooManyErrors
from policies.grammar import DOCUMENT, VERSION
from policies.model import PolicySet
from policies.nodes import read_nodes
from policies.reader import Reader
from policies.segments import read_links, read_segments
from policies.services import read_services
from policies.source import Entry, Tree, compose

_SECTIONS = {"segments": "segment", "links": "uplink", "services": "service", "policies": "policy"}


def parse(files: Mapping[str, str]) -> PolicySet:
    """`files`: text by file name; none at all is the empty policy set. The order of the files does not count.

    Raises PolicyErrors with everything that is wrong in any file, sorted by file, line and column.
    """
    problems = Problems()
    policies = PolicySet()
    try:
        documents = [compose(name, files[name], problems) for name in sorted(files)]
        reader = Reader(problems, complete=None not in documents)
        policies = _read(reader, [document for document in documents if document is not None])
    except TooManyErrors:
        pass  # those found are enough to go on with
    problems.raise_all()
    return policies


def _read(reader: Reader, documents: Iterable[Tree]) -> PolicySet:
    sections: dict[str, list[Entry]] = {section: [] for section in _SECTIONS}
    for document in documents:
        fields = reader.fields(document, DOCUMENT)
        if "weir" in fields:
            reader.word(fields["weir"], VERSION)
        for section, what in _SECTIONS.items():
            if section in fields:
                sections[section] += reader.named(reader.mapping(fields[section]), what)
    once = {section: _once(reader.problems, entries) for section, entries in sections.items()}
    services = read_services(reader, once["services"])
    written = read_nodes(reader, once["policies"], services)
    segments, links = read_segments(reader, once["segments"]), read_links(reader, once["links"])
    refuse_impossible_guarantees(reader.problems, written)
    return PolicySet(segments, links, written.nodes)


def _once(problems: Problems, entries: Iterable[Entry]) -> list[Entry]:
    """The entries by the first definition of each name."""
    first: dict[str, Place] = {}
    kept = []
    for entry in entries:
        place = first.setdefault(entry.key, entry.key_place)
        if place is entry.key_place:
            kept.append(entry)
        else:
            problem = f"'{entry.key}' is defined twice, first at {place.at}"
            problems.add(entry.key_place, problem, "Remove or rename one of them")
    return kept
