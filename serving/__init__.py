"""The scoring service: one request in, one logged answer out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.settings import Settings

__all__ = ["run"]


def run(settings: "Settings", host: str | None = None, port: int | None = None, n_workers: int | None = None) -> None:
    """Serve until told to stop; see `serving.server.run`."""
    from serving.server import run as run_server

    run_server(settings, host, port, n_workers)
