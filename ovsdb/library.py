"""The `ovs` library as this room uses it: without eventlet where the process has none, fit for large messages.

`ovs.poller` imports eventlet to ask whether it has patched `select`. In a process without eventlet that would cost
0.4 s a start and print eventlet's deprecation warning; with it hidden, the library takes the answer to be no.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from ovsdb.json_stream import StreamParser, WholeCharacters

_hidden = "eventlet" not in sys.modules
if _hidden:
    cast("dict[str, Any]", sys.modules)["eventlet"] = None
try:
    import ovs.db.data as data
    import ovs.db.error as error
    import ovs.db.idl as idl
    import ovs.json
    import ovs.jsonrpc
finally:
    if _hidden:
        del sys.modules["eventlet"]


class _Connection(ovs.jsonrpc.Connection):  # type: ignore[misc]  # the library has no types
    def __init__(self, stream: Any) -> None:
        super().__init__(WholeCharacters(stream))


ovs.jsonrpc.Connection = _Connection
if ovs.json.PARSER == ovs.json.PARSER_PY:
    ovs.json.Parser = StreamParser

__all__ = ["data", "error", "idl"]
