"""The `ovs` library as this room uses it: without what it can do without, fit for large messages.

`ovs.poller` imports eventlet to ask whether it has patched `select`. In a process without eventlet that would cost
0.4 s a start and print eventlet's deprecation warning; with it hidden, the library takes the answer to be no. `ssl`
would load OpenSSL into every command, for databases that are reached through Unix sockets and TCP alone.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from ovsdb.json_stream import StreamParser, WholeCharacters

_hidden = [name for name in ("eventlet", "ssl") if name not in sys.modules]
for _name in _hidden:
    cast("dict[str, Any]", sys.modules)[_name] = None
try:
    import ovs.db.data as data
    import ovs.db.error as error
    import ovs.db.idl as idl
    import ovs.json
    import ovs.jsonrpc
finally:
    for _name in _hidden:
        del sys.modules[_name]


class _Connection(ovs.jsonrpc.Connection):  # type: ignore[misc]  # the library has no types
    def __init__(self, stream: Any) -> None:
        super().__init__(WholeCharacters(stream))


ovs.jsonrpc.Connection = _Connection
if ovs.json.PARSER == ovs.json.PARSER_PY:
    ovs.json.Parser = StreamParser

__all__ = ["data", "error", "idl"]
