"""Options that several commands take, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

StateDirOption = Annotated[
    str | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="Where the system keeps its things. [default: WEIR_STATE_DIR, else /run/weir]",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
