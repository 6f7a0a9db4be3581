"""Runs Ringpost's processes side by side: starts them, starts one that died again, and stops all together.

A small process of its own, not one of the two: the gateway may be killed at any instruction and the web at any time, and
whoever watches must outlive both. Children die with it, however it ends (prctl(2) PR_SET_PDEATHSIG).

A child that ends with exit code 2 or 3 (configuration, schema) or as the second gateway of its name would only end so again:
then everything stops with that code. Any other end is followed by a restart, after a pause that doubles up to half a minute.
"""

import contextlib
import ctypes
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

log = logging.getLogger("gateway.supervise")  # also as __main__

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SETTLED_S = 60.0
"""A child that lived this long starts again without the memory of earlier deaths."""
PATIENCE_S = 75.0
"""How long children may take to stop: the gateway waits for the part that is on the air. A second signal kills at once."""
_WORD_S = 3.0
HOPELESS = frozenset({2, 3, 4})
"""Exit codes that a restart cannot cure: configuration, schema version, name taken."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Child:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    output: Path | None = None
    """A file for what it prints; None: where ours goes."""
    process: subprocess.Popen[bytes] | None = None
    descriptor: int = -1
    started_at: float = 0.0
    deaths: int = 0
    again_at: float | None = 0.0
    """When to start it, by the monotonic clock; None while it runs."""

    def start(self) -> None:
        """Start it now."""
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # the parent died before the line above
                os._exit(0)

        with contextlib.ExitStack() as stack:
            output = None if self.output is None else stack.enter_context(self.output.open("ab"))
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches us alone, so that children stop once and in order
                preexec_fn=die_with_parent,  # safe: we have no threads
            )
        self.descriptor = os.pidfd_open(self.process.pid)
        self.started_at = time.monotonic()
        self.again_at = None

    def bury(self) -> int:
        """Take leave of a process that has ended; its exit code."""
        assert self.process is not None
        code = self.process.wait()
        os.close(self.descriptor)
        self.process, self.descriptor = None, -1
        return code

    def plan_restart(self) -> float:
        """Say when to start again; the pause until then, in seconds."""
        now = time.monotonic()
        self.deaths = 1 if now - self.started_at > SETTLED_S else self.deaths + 1
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (self.deaths - 1))
        self.again_at = now + pause
        return pause


class Supervisor:
    """Keeps children running until a signal, `stop()`, or a child that cannot be helped."""

    def __init__(self, children: Sequence[Child], *, patience_s: float = PATIENCE_S) -> None:
        self._children = children
        self._patience_s = patience_s
        self._stopping = False
        self._code = 0

    def stop(self) -> None:
        """End `run` soon; to be called from `tick`."""
        self._stopping = True

    def run(self, tick: Callable[[], float | None] | None = None) -> int:
        """Run the children; an exit code (0 after SIGTERM or SIGINT, else that of the child that could not be helped).

        `tick` is called at once and then after as many seconds as it answers, until it answers None. Main thread only.
        """
        with _signals() as ear:
            next_tick = None if tick is None else 0.0
            try:
                while not self._stopping:
                    self._start_due()
                    if tick is not None and next_tick is not None and time.monotonic() >= next_tick:
                        pause = tick()
                        next_tick = None if pause is None else time.monotonic() + pause
                        continue
                    self._wait(ear, next_tick)
            finally:
                self._stop_all(ear)
        return self._code

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.again_at is not None and child.again_at <= now:
                child.start()
                log.info("started %s pid=%d", child.name, child.process.pid if child.process else 0)

    def _wait(self, ear: int, until: float | None) -> None:
        """Until a signal comes, a child ends, or something is due."""
        due = [at for at in (*(child.again_at for child in self._children), until) if at is not None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        for descriptor in _readable([ear, *self._running()], timeout):
            if descriptor == ear:
                os.read(ear, 64)
                self._stopping = True
            else:
                self._mourn(next(child for child in self._children if child.descriptor == descriptor))

    def _running(self) -> list[int]:
        return [child.descriptor for child in self._children if child.process is not None]

    def _mourn(self, child: Child) -> None:
        code = child.bury()
        if code in HOPELESS:
            log.error("%s ended with code %d: starting it again would not help", child.name, code)
            self._code, self._stopping = code, True
            return
        pause = child.plan_restart()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        log.warning("%s %s, starting it again in %.1f s", child.name, how, pause)

    def _stop_all(self, ear: int) -> None:
        """SIGTERM to all, and SIGKILL to whoever is not gone in time or when a second signal comes."""
        for child in self._children:
            child.again_at = None
            if child.process is not None:
                child.process.terminate()
        now = time.monotonic()
        deadline, word_at = now + self._patience_s, now + _WORD_S
        while self._running() and time.monotonic() < deadline:
            ready = _readable([ear, *self._running()], min(deadline, word_at) - time.monotonic())
            if ear in ready:
                break
            for child in self._children:
                if child.descriptor in ready:
                    child.bury()
            if not ready and time.monotonic() >= word_at:
                word_at = deadline
                names = ", ".join(child.name for child in self._children if child.process is not None)
                log.warning("waiting for %s to finish what is on the air; another Ctrl-C ends it now", names)
        for child in self._children:
            if child.process is not None:
                log.warning("%s does not stop, killing it", child.name)
                child.process.kill()
                child.bury()


def main(arguments: Sequence[str]) -> int:
    """`python -m gateway.supervise FILE LEVEL`: keep the gateway and the web of a configuration running.

    `ringpost run` becomes this once the database is ready: some 9 MB instead of 18, for as long as the box is on.
    """
    file, level = arguments
    logging.basicConfig(stream=sys.stdout, level=level.upper(), format="%(levelname)s %(name)s %(message)s")
    children = [Child(name, python(name, "-c", file), environment()) for name in ("gateway", "web")]
    return Supervisor(children).run()


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours: never one that lies in the working directory (-P)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """What children need to import the same code as we do, from a checkout as well as installed."""
    root = Path(__file__).resolve().parent.parent
    if root.name in ("site-packages", "dist-packages"):
        return {}
    paths = [str(root), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONPATH": os.pathsep.join(paths)}


def replace_process(module: str, *arguments: str) -> None:
    """Become `python -m module`, so that signals and exit code are its own. Does not return."""
    sys.stdout.flush()
    command = python(module, *arguments)
    os.execve(command[0], command, {**os.environ, **environment()})  # noqa: S606  # no shell wanted


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that is readable once SIGTERM, SIGINT or SIGHUP has come."""
    ear, mouth = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def note(number: int, frame: FrameType | None) -> None:
        os.write(mouth, b"!")

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup(1) asked for it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield ear
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(ear)
        os.close(mouth)


def _readable(descriptors: Sequence[int], timeout_s: float | None) -> list[int]:
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    milliseconds = None if timeout_s is None else max(0, int(timeout_s * 1000) + 1)
    return [descriptor for descriptor, _ in poller.poll(milliseconds)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
