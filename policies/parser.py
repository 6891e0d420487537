"""Files of policy text to one checked policy set. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policies.checks import refuse_impossible_guarantees
from policies.class_documents import read_classes, refuse_exhausted_code_points
from policies.errors import Place, Problems, TooManyErrors
from policies.grammar import DOCUMENT, VERSION
from policies.groups import read_groups
from policies.model import PolicySet
from policies.names import Names
from policies.nodes import read_nodes
from policies.reader import Reader
from policies.segments import read_links, read_segments
from policies.services import read_services
from policies.source import Entry, Tree, compose

_SECTIONS = {
    "segments": "segment",
    "links": "uplink",
    "services": "service",
    "groups": "group",
    "classes": "class",
    "policies": "policy",
}


def parse(files: Mapping[str, str]) -> PolicySet:
    """`files`: text by file name; of none at all only the class NORMAL comes. The order of the files does not count.

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
    segments, links = read_segments(reader, once["segments"]), read_links(reader, once["links"])
    services, groups = read_services(reader, once["services"]), read_groups(reader, once["groups"])
    classes = read_classes(reader, once["classes"])
    names = Names(reader, services, groups, classes, segments)
    written = read_nodes(reader, once["policies"], names)
    names.refuse_unknown_paths(written.nodes)
    refuse_impossible_guarantees(reader.problems, written)
    policies = PolicySet(segments, links, written.nodes, services, groups, classes)
    refuse_exhausted_code_points(reader, policies, once["classes"], names)
    return policies


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
