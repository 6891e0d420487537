"""Traffic classes as written. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies import units
from policies.classes import NoCodePointLeft, code_points
from policies.dscp import code_point, code_point_text
from policies.errors import BadValue, Place
from policies.grammar import CLASS
from policies.model import NORMAL, PolicySet, Position, TrafficClass
from policies.names import Names
from policies.reader import Reader
from policies.source import Entry
from policies.wording import quoted

IMPLIED = Position("(implied)", 1, 1)  # of the class NORMAL where nobody writes it
_DIGITS = 12  # a percentage has at most 9 digits behind the point, so sums of shares are exact to so many


def read_classes(reader: Reader, entries: Sequence[Entry]) -> Mapping[str, TrafficClass]:
    """The `classes`, best first. NORMAL, where it is not among them, comes after all of them with what they leave.

    Their order says something, and files have none: so all of them stand in one file.
    """
    classes: dict[str, TrafficClass] = {}
    owners: dict[int, TrafficClass] = {}
    total = 0.0
    for entry in entries:
        _refuse_other_file(reader, entry, entries[0])
        own = _class(reader, entry, owners)
        classes[entry.key] = own
        before, total = total, round(total + own.share, _DIGITS)
        if before <= 1 < total:
            problem = f"with this one the shares come to {total * 100:.10g} %"
            reader.problems.add(entry.value.place, problem, "Lower some of them: all together at most 100 %")
    if NORMAL not in classes:
        if total == 1:
            problem = f"the shares come to 100 %, which leaves nothing for the class '{NORMAL}' of what no rule names"
            reader.problems.add(
                entries[-1].value.place, problem, f"Lower one of them, or add '{NORMAL}' to the classes"
            )
        classes[NORMAL] = TrafficClass(NORMAL, max(0.0, round(1 - total, _DIGITS)), IMPLIED)
    return classes


def refuse_exhausted_code_points(reader: Reader, policies: PolicySet, entries: Sequence[Entry], names: Names) -> None:
    """Each class must be told apart by a code point; see policies.classes."""
    try:
        code_points(policies)
    except NoCodePointLeft as none:
        written = {entry.key: entry.key_place for entry in entries}
        place = written.get(none.name) or (entries[-1].key_place if entries else names.last_mark)
        if place is not None:
            problem = f"no code point for local use is left for the class '{none.name}'"
            remedy = f"Write its own, as in 'classes: {{{none.name}: {{share: 10 %, dscp: af11}}}}'"
            reader.problems.add(place, problem, remedy)


def _class(reader: Reader, entry: Entry, owners: dict[int, TrafficClass]) -> TrafficClass:
    """owners: by code point; this class is added."""
    fields = reader.fields(entry.value, CLASS)
    share = reader.value(fields["share"], _share) if "share" in fields else None
    dscp = reader.value(fields["dscp"], code_point) if "dscp" in fields else None
    own = TrafficClass(entry.key, share or 0.0, entry.key_place.at, dscp)
    if dscp is not None and (first := owners.setdefault(dscp, own)) is not own:
        problem = f"'{code_point_text(dscp)}' is the code point of class '{first.name}' already, at {first.at}"
        reader.problems.add(fields["dscp"].place, problem, "Choose another code point, or leave it out")
    return own


def _refuse_other_file(reader: Reader, entry: Entry, first: Entry) -> None:
    here: Place = entry.key_place
    if here.at.file != first.key_place.at.file:
        problem = f"other classes stand in another file, at {first.key_place.at}, so their order is not known"
        reader.problems.add(here, problem, "Write all classes into one file, best first")


def _share(text: str) -> float:
    share = units.part(text)
    if share == 0:
        raise BadValue(f"{quoted(text)} leaves the class without a rate", "Write a share above 0 %, such as '5 %'")
    return share
