"""Files that say who is where: a YAML list of {user, vif or ip, ttl}. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from controller.intent.identity import BindRequest
from policies.errors import Place, Problems, TooManyErrors
from policies.grammar import Vocabulary
from policies.model import Position
from policies.reader import Reader
from policies.source import Listing, Tree, compose
from policies.units import time_s

_REMEDY = "Write each binding as in '- {user: alice, vif: web1}'"
_ITEM = Vocabulary(built=("user", "vif", "ip", "ttl"), required=(("user", "user: alice"),))


def read(files: Mapping[str, str]) -> list[BindRequest]:
    """files: text by name. Raises PolicyErrors with everything that is wrong in them."""
    problems = Problems()
    requests: list[BindRequest] = []
    try:
        for name, text in sorted(files.items()):
            if _is_blank(text):
                problems.add(Place(Position(name, 1, 1)), "the file is empty", _REMEDY)
                continue
            tree = compose(name, text, problems)
            if tree is not None:
                requests += _requests(Reader(problems), tree)
    except TooManyErrors:
        pass  # those found are enough to go on with
    problems.raise_all()
    return requests


def _is_blank(text: str) -> bool:
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


def _requests(reader: Reader, tree: Tree) -> list[BindRequest]:
    if isinstance(tree, Listing) and tree.items:
        return [_request(reader, item) for item in tree.items]
    reader.problems.add(tree.place, "this is no list of bindings", _REMEDY)
    return []


def _request(reader: Reader, item: Tree) -> BindRequest:
    fields = reader.fields(item, _ITEM)
    if "user" in fields and ("vif" in fields) == ("ip" in fields):
        what = "it says both vif and ip" if "vif" in fields else "it says neither vif nor ip"
        reader.problems.add(item.place, what, "Say where the user is: 'vif: NAME' or 'ip: ADDRESS'")
    user, vif, address = (reader.text(fields[key]) if key in fields else None for key in ("user", "vif", "ip"))
    ttl_s = reader.value(fields["ttl"], time_s) if "ttl" in fields else None
    return BindRequest(user or "", vif, address, ttl_s, f"{item.place.at}: {item.place.path}")
