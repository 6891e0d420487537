"""weir metrics."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.options import StateDirOption
from controller.cli.output import say


def metrics(
    listen: Annotated[
        str | None,
        typer.Option(metavar="[ADDRESS:]PORT", help="Serve them there to Prometheus, until it is stopped."),
    ] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Print what the controller measures, in Prometheus' format. `weir up --metrics` serves it."""
    from controller import config
    from controller.api import client
    from controller.system import listening

    directory = config.state_dir(state_dir)
    if listen is None:
        print(client.get_text(directory.api_socket, "/metrics"), end="")
        return
    address, port = listening.read("--listen", listen)
    listening.check_free("--listen", address, port)
    from controller.api.exporter import PATH, Exporter

    with Exporter(address, port, directory.api_socket) as exporter:
        say(f"http://{listening.written(address, port)}{PATH}")
        try:
            exporter.serve_forever()
        except KeyboardInterrupt:
            return
