"""Running the service."""

import gc
import logging
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import uvicorn

from core.settings import Settings
from serving.app import create_app
from serving.connections import Crowd
from serving.limits import Limits
from serving.quick_protocol import QuickProtocol

__all__ = ["make_server", "prepare_process", "run"]

_MAX_AT_ONCE = 512
_KEEP_ALIVE_SECONDS = 30
_STOP_SECONDS = 30
_MAX_HEADER_BYTES = 65_536
_MAX_FILES = 65_536
_SWITCH_SECONDS = 0.0005
# A batch makes thousands of objects that are gone with its next block. What outlives two looks at the newest is looked
# at whole, which is little by then: garbage waits for no more objects than it does by Python's own thresholds.
_COLLECT_AFTER = (10_000, 2, 2)


class _SettledServer(uvicorn.Server):
    """A server that has its process to itself: once it has started, the collector no longer walks what stays."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and set aside what has been made by then: some 200,000 objects, a pause of a tenth of a second."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECT_AFTER)


def make_server(
    settings: Settings,
    host: str | None = None,
    port: int | None = None,
    *,
    limits: Limits | None = None,
    beat: Callable[[], None] | None = None,
    has_process: bool = False,
) -> uvicorn.Server:
    """Return a server that is not started yet.

    Parameters
    ----------
    settings : Settings
        Where things are; `scorer_host` and `scorer_port` where `host` and `port` are left out.
    host, port : str, int, optional
        Where to listen. Port 0 takes a free one.
    limits : Limits, optional
        What one process takes on.
    beat : callable, optional
        As of `create_app`.
    has_process : bool, default=False
        Whether nothing else lives in the process, so that its garbage collection may be set for the service.
    """
    app = create_app(settings, limits, beat=beat)
    config = uvicorn.Config(
        Crowd(app, _MAX_AT_ONCE, settings.language),
        http=partial(QuickProtocol, desk=app.state.desk),  # type: ignore[arg-type]  # called as the class is
        ws="none",
        host=settings.scorer_host if host is None else host,
        port=settings.scorer_port if port is None else port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
    )
    return _SettledServer(config) if has_process else uvicorn.Server(config)


def run(
    settings: Settings,
    host: str | None = None,
    port: int | None = None,
    n_workers: int | None = None,
    *,
    is_watched: bool = False,
) -> None:
    """Serve until told to stop (SIGINT or SIGTERM): requests under way are answered first.

    Parameters
    ----------
    settings : Settings
        As loaded from the environment: several workers load them again. `scorer_host`, `scorer_port` and
        `scorer_workers` where the others are left out.
    host, port : str, int, optional
        Where to listen.
    n_workers : int, optional
        Processes; one serves in this process itself.
    is_watched : bool, default=False
        Let even a single one be a process of its own, which is replaced where it dies or hangs.
    """
    prepare_process()
    n_workers = settings.scorer_workers if n_workers is None else n_workers
    if n_workers == 1 and not is_watched:
        make_server(settings, host, port, has_process=True).run()
        return
    from serving.workers import Workers

    chosen = settings.scorer_host if host is None else host
    Workers(chosen, settings.scorer_port if port is None else port, n_workers).run()


def prepare_process() -> None:
    """Set what holds for the whole process: its log, how many connections it may hold, how threads take turns."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # what may not be raised stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _MAX_FILES), most))
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(process)d %(name)s %(message)s")
    # The thread that ships the log holds the interpreter at most so long before an answer gets its turn.
    sys.setswitchinterval(_SWITCH_SECONDS)
