"""What rules may name, wherever in the set it is defined, and what they did name. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from policies.dscp import code_point_text
from policies.errors import Place, TooManyErrors
from policies.model import NORMAL, Service, TrafficClass
from policies.reader import Reader
from policies.source import Tree
from policies.wording import nearest, quoted

MOST_MATCHES = 1_000_000  # ports and protocols in the rules of a set, where one name may stand for many
_SECTIONS = {"group": "groups", "class": "classes", "segment": "segments"}
_MOST_COMPARISONS = 200_000  # of misspelt names with known ones: each costs microseconds


class Names:
    """All but the paths of nodes, which are known only once all nodes are read: `refuse_unknown_paths` is for then."""

    def __init__(
        self,
        reader: Reader,
        services: Mapping[str, Service],
        groups: Collection[str],
        classes: Mapping[str, TrafficClass],
        segments: Collection[str],
    ) -> None:
        self.services = services
        self.groups = groups
        self.last_mark: Place | None = None  # where a rule wrote a code point
        self._reader = reader
        self._known: Mapping[str, Collection[str]] = {"group": groups, "class": classes, "segment": segments}
        self._paths: list[tuple[str, Place]] = []
        self._owners = {own.dscp: own.name for own in classes.values() if own.dscp is not None}
        self._marked: dict[int, tuple[str, Place]] = {}
        self._matches = 0
        self._comparisons = 0

    def read(self, tree: Tree, kind: str) -> str | None:
        """The name of a "group", "class" or "segment" that some file defines."""
        text = self._reader.text(tree)
        if text is None or text in self._known[kind]:
            return text
        if self._reader.complete:
            remedy = self.remedy(text, self._known[kind], f"Define it under '{_SECTIONS[kind]}'")
            self._reader.problems.add(tree.place, f"no {kind} is named {quoted(text)}", remedy)
        return None

    def read_path(self, tree: Tree) -> str | None:
        """The path of a node, to be checked later."""
        text = self._reader.text(tree)
        if text is not None:
            self._paths.append((text, tree.place))
        return text

    def refuse_unknown_paths(self, paths: Collection[str]) -> None:
        for path, place in self._paths if self._reader.complete else ():
            if path not in paths:
                remedy = self.remedy(path, paths, "Write the whole path from the top of the tree, as in acme/web")
                self._reader.problems.add(place, f"no policy has the path {quoted(path)}", remedy)

    def remedy(self, text: str, known: Collection[str], otherwise: str) -> str:
        """The known name that was meant; `otherwise` where none is near."""
        self._comparisons += len(known)
        near = nearest(text, known) if self._comparisons <= _MOST_COMPARISONS else None
        return f"The nearest name is '{near}'" if near else otherwise

    def note_mark(self, dscp: int, traffic_class: str | None, place: Place) -> None:
        """A code point that a rule writes belongs to one class in the whole set: that of the rule."""
        self.last_mark = place
        own, text = traffic_class or NORMAL, f"'{code_point_text(dscp)}'"
        owner = self._owners.get(dscp)
        if owner is not None and owner != own:
            problem = f"{text} is the code point of class '{owner}', and the rule's class is '{own}'"
            self._reader.problems.add(place, problem, f"Write 'class: {owner}' too, or choose another code point")
        if owner is not None:
            return
        first, first_place = self._marked.setdefault(dscp, (own, place))
        if first != own:
            problem = f"{text} marks class '{first}' at {first_place.at}, and the rule's class is '{own}'"
            self._reader.problems.add(place, problem, "Choose another code point, or the same class for both")

    def count_matches(self, more: int, place: Place) -> None:
        """Raises TooManyErrors when the rules name so much that reading them takes too long."""
        self._matches += more
        if self._matches > MOST_MATCHES:
            problem = f"the services of all rules come to more than {MOST_MATCHES:,} ports and protocols"
            self._reader.problems.add(place, problem, "Write fewer and wider port ranges into services, or fewer rules")
            raise TooManyErrors
