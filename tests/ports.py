"""Ports for servers that a test starts by their number."""

import random
import socket

_FIRST, _N = 20_000, 12_000


def free_port() -> int:
    """Return a loopback port nobody listens on.

    It lies below those that the kernel gives to outgoing connections (32768 and up), so that none of these takes it
    before the server does; and it is chosen by chance, so that test processes at once do not choose the same.
    """
    chance = random.SystemRandom()
    while True:
        port = _FIRST + chance.randrange(_N)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
