"""The wake: one datagram that says "there is work". A hint only; a slow poll finds what a lost hint missed.

Nothing is asked of who rings: no answer, no order, no exception. Source: unix(7).
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "wake.sock"
_LONGEST = 100  # sockaddr_un.sun_path holds 107 bytes


def ring(state_dir: Path) -> None:
    """Tell the gateway that works in `state_dir` to look now. Never raises, never waits."""
    try:
        with _address(state_dir) as address, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            bell.sendto(b"!", address)
    except OSError:
        pass  # nobody listens, or it has rung enough already: the poll will see the work


def listen(state_dir: Path) -> socket.socket:
    """The gateway's end: readable after a ring. To be read empty by `drain`; close it at the end.

    Takes over from a predecessor, which cannot be alive: the gateway holds the lock of `state_dir` by now.
    """
    (state_dir / NAME).unlink(missing_ok=True)
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with _address(state_dir) as address:
        bell.bind(address)
    os.chmod(state_dir / NAME, 0o660)
    bell.setblocking(False)
    return bell


def drain(bell: socket.socket) -> None:
    """Forget every ring so far."""
    try:
        while True:
            bell.recv(16)
    except BlockingIOError:
        pass  # read empty


@contextmanager
def _address(state_dir: Path) -> Iterator[str]:
    """The socket's path, by way of an open directory where it is too long for the kernel."""
    path = str(state_dir / NAME)
    if len(os.fsencode(path)) <= _LONGEST:
        yield path
        return
    directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{NAME}"
    finally:
        os.close(directory)
