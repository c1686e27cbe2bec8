"""Several workers at one port: started together, replaced when they die or hang, stopped together."""

import errno
import faulthandler
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from core.errors import ConfigurationError
from core.i18n import msg
from core.settings import Settings
from serving.metrics import FOLDER_VARIABLE

__all__ = ["STOP_SECONDS", "Workers", "run_worker"]

_LOG = logging.getLogger(__name__)
_BACKLOG = 1024
_PULSE_BYTES = 65_536
_POLL_SECONDS = 0.1
STOP_SECONDS = 45.0
"""How long workers may take to finish before they are killed."""
HUNG_SECONDS = 8.0
"""How long a worker that serves may give no sign of life before it is killed and replaced."""
_START_SECONDS = 180.0
_TRACE_SECONDS = 1.0
_STEADY_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.2
_LAST_PAUSE_SECONDS = 10.0


@dataclass
class _Place:
    """One worker's own socket, which outlives it, and the process that answers there now."""

    socket: socket.socket
    process: "subprocess.Popen[bytes] | None" = None
    began: float = 0.0
    pulse: int = -1
    alive_until: float = 0.0
    is_traced: bool = False
    pause_seconds: float = 0.0
    again_at: float = 0.0


class Workers:
    """Processes that each run the whole service, and the parent that looks after them and holds their sockets.

    Each worker has a socket of its own at the shared port, among which the kernel spreads connections evenly. The
    parent keeps the sockets: connections that arrive while a killed worker is being replaced wait for the new one
    instead of being refused. Workers end when the parent does, even where that is killed.

    A worker that serves gives a sign of life twice a second, from the loop that answers. Where none comes for
    `HUNG_SECONDS` it is told to write down where its threads stand, and killed; what waited at its socket goes to the
    one that replaces it.

    Parameters
    ----------
    host : str
        Where to listen.
    port : int
        Port; 0 takes a free one.
    n_workers : int
        How many.
    """

    def __init__(self, host: str, port: int, n_workers: int) -> None:
        self._places = [_Place(one) for one in _shared_sockets(host, port, n_workers)]
        self._alive, self._parent_alive = os.pipe()
        self._stop = threading.Event()

    @property
    def port(self) -> int:
        """Port at which they listen."""
        return int(self._places[0].socket.getsockname()[1])

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then let the workers finish what they have begun."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stop.set())
        _LOG.info("%s workers at port %s", len(self._places), self.port)
        with tempfile.TemporaryDirectory(prefix="scorer-metrics-") as folder:
            try:
                while not self._stop.wait(_POLL_SECONDS):
                    for place in self._places:
                        self._look_after(place, Path(folder))
            finally:
                self._stop_all()

    def _look_after(self, place: _Place, metrics: Path) -> None:
        now = time.monotonic()
        if place.process is None:
            if now >= place.again_at:
                self._start(place, metrics)
        elif (code := place.process.poll()) is not None:
            is_steady = now - place.began > _STEADY_SECONDS
            # Who dies at once, again and again, must not keep the machine busy with dying.
            longer = min(max(2 * place.pause_seconds, _FIRST_PAUSE_SECONDS), _LAST_PAUSE_SECONDS)
            place.pause_seconds = 0.0 if is_steady else longer
            place.again_at = now + place.pause_seconds
            _LOG.error("worker %s ended with code %s and is replaced", place.process.pid, code)
            mark_process_dead(place.process.pid, str(metrics))  # type: ignore[no-untyped-call]
            place.process = None
            os.close(place.pulse)
        else:
            self._feel_pulse(place, now)

    def _feel_pulse(self, place: _Place, now: float) -> None:
        if place.process is None:
            return
        with suppress(BlockingIOError):
            if os.read(place.pulse, _PULSE_BYTES):
                place.alive_until = now + HUNG_SECONDS
        if now < place.alive_until:
            return
        if not place.is_traced:
            _LOG.error("worker %s gives no sign of life and is killed", place.process.pid)
            place.process.send_signal(signal.SIGABRT)
            place.is_traced, place.alive_until = True, now + _TRACE_SECONDS
        else:
            place.process.kill()

    def _start(self, place: _Place, metrics: Path) -> None:
        descriptor = place.socket.fileno()
        place.pulse, beat = os.pipe()
        os.set_blocking(place.pulse, False)
        os.set_blocking(beat, False)
        code = f"from serving.workers import run_worker; run_worker({descriptor}, {self._alive}, {beat})"
        place.began = time.monotonic()
        # Models may be large, and the database slow to come.
        place.alive_until, place.is_traced = place.began + _START_SECONDS, False
        # A session of its own: Ctrl-C reaches the parent only, which then stops all in order.
        place.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, "-c", code],
            env=os.environ | {FOLDER_VARIABLE: str(metrics)},
            pass_fds=[descriptor, self._alive, beat],
            start_new_session=True,
        )
        os.close(beat)
        _LOG.info("worker %s begins", place.process.pid)

    def _stop_all(self) -> None:
        running = [place.process for place in self._places if place.process is not None]
        # From here on a new connection is refused, so that its caller goes elsewhere at once.
        for place in self._places:
            place.socket.close()
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                _LOG.error("worker %s does not stop and is killed", process.pid)
                process.kill()
                process.wait()
        os.close(self._parent_alive)
        os.close(self._alive)


def run_worker(descriptor: int, parent: int, pulse: int) -> None:
    """Be one worker: serve at an inherited socket until told to stop, or until the parent is gone.

    Parameters
    ----------
    descriptor : int
        The socket.
    parent : int
        Reading end of a pipe that ends when the parent does.
    pulse : int
        Writing end of a pipe for signs of life.
    """
    from serving.server import make_server, prepare_process

    def stop_with_parent() -> None:
        os.read(parent, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def beat() -> None:
        # A parent that is gone, or so slow that the pipe is full, is no reason to stop.
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(pulse, b".")

    prepare_process()
    faulthandler.enable()
    threading.Thread(target=stop_with_parent, name="parent", daemon=True).start()
    server = make_server(Settings.load(), beat=beat, has_process=True)
    server.run(sockets=[socket.socket(fileno=descriptor)])


def _shared_sockets(host: str, port: int, n: int) -> list[socket.socket]:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    _require_free(family, address)
    sockets: list[socket.socket] = []
    for _ in range(n):
        one = socket.socket(family, kind, protocol)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(sockets[0].getsockname() if sockets else address)
        sockets.append(one)
    for one in sockets:
        one.listen(_BACKLOG)
    return sockets


def _require_free(family: int, address: tuple[object, ...]) -> None:
    """Refuse a port at which somebody listens: a shared one would be taken from him silently."""
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            text = msg("Something listens at port {port} already", port=address[1])
            raise ConfigurationError(text, where="port") from error
