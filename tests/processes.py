"""Whole-process tests: a box in a temporary directory, with programs that are started, killed and started again.

    with Site(tmp_path, test_clock=True) as site:
        site.ringpost("init", "--test", …)
        stick = site.simulator(); site.gateway(); site.web()
        until(lambda: site.air("submit"))
        site.programs["gateway"].kill(); site.gateway()

Waiting for another process is asking again and again; that happens in `until` and nowhere else.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from gateway.store.database import Database
from modem.airlog import read_air_log
from modem.clock import FileClock
from modem.simulator_control import Control

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A TCP port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(question: Callable[[], T], *, timeout_s: float = 20.0, about: str = "", every_s: float = 0.02) -> T:
    """Ask until the answer is true; the answer. An OSError counts as "not yet". Fails after `timeout_s`."""
    deadline, tick, answer = time.monotonic() + timeout_s, threading.Event(), None
    while True:
        try:
            answer = question()
            if answer:
                return answer
            error = None
        except OSError as failure:
            error = failure
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {about or question} (last answer: {error or answer!r})")
        tick.wait(every_s)


class Program:
    """A process of ours, its output in a file; may be started again after it ended."""

    def __init__(self, name: str, command: list[str], directory: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.command = command
        self.log = directory / f"{name}.log"
        self._directory = directory
        self._environment = dict(environment)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Program":
        assert not self.alive, f"{self.name} runs already"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def said(self) -> str:
        """Everything it has written, over all its lives."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def ready(self, question: Callable[[], T], *, timeout_s: float = 20.0) -> T:
        """Ask until the answer is true, but no longer than the program lives; fails with what it said last."""

        def asked() -> T | None:
            if not self.alive:
                raise AssertionError(f"{self.name} ended with code {self.process and self.process.returncode}")
            return question()

        try:
            answer = until(asked, timeout_s=timeout_s, about=f"{self.name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- {self.log}\n{self.said[-4000:]}") from None
        assert answer is not None
        return answer

    def kill(self) -> None:
        """SIGKILL to the program and all it started, and see it dead."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)

    def stop(self, timeout_s: float = 20.0) -> int:
        """SIGTERM, then wait; its exit code."""
        assert self.process is not None
        if self.alive:
            self.process.terminate()
        return self.process.wait(timeout_s)

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)


class Stick:
    """A simulated modem in a process of its own."""

    def __init__(self, program: Program, link: Path, control: Path, air_log: Path) -> None:
        self.program = program
        self.link = link
        self.air_log = air_log
        self.control = Control(str(control))

    @property
    def iccid(self) -> str:
        """The number of the card in it."""
        command = self.program.command
        return str(command[command.index("--iccid") + 1])

    def start(self) -> "Stick":
        self.program.start()
        self.program.ready(lambda: self.control.ask("ping") is not None and self.link.exists())
        return self

    def air(self, event: str | None = None) -> list[dict[str, Any]]:
        """What passed between the stick and the network."""
        return read_air_log(self.air_log, event)


class Site:
    """One box: configuration, state directory, and up to one gateway, one web and some sticks.

    Two boxes on one PostgreSQL: two sites in two directories with the same `database`. `extra` is added to the
    configuration as it stands. With `test_clock` gateway, web and sticks follow `site.set_clock`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "box",
        database: str | None = None,
        sticks: int = 1,
        test_clock: bool = False,
        extra: str = "",
    ) -> None:
        self.directory = directory
        self.name = name
        self.state_dir = directory / "state"
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.database_url = database or str(self.state_dir / "ringpost.db")
        self.port = free_port()
        self.config = directory / "ringpost.toml"
        self.clock_file = directory / "clock.json" if test_clock else None
        self.programs: dict[str, Program] = {}
        self.sticks: list[Stick] = []
        self._opened: Database | None = None
        if self.clock_file is not None:
            FileClock.write(self.clock_file)
        lines = [
            "[gateway]",
            f"name = {json.dumps(name)}",
            f"database = {json.dumps(self.database_url)}",
            f"state_dir = {json.dumps(str(self.state_dir))}",
            *([f"test_clock = {json.dumps(str(self.clock_file))}"] if self.clock_file else []),
            "[web]",
            f'listen = "127.0.0.1:{self.port}"',
            'tls = "off"',
        ]
        for number in range(1, sticks + 1):
            lines += ["[[modem]]", f'name = "stick{number}"', f"port = {json.dumps(str(self._link(number)))}"]
        self.config.write_text("\n".join([*lines, extra, ""]))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")},
            "PYTHONPATH": str(ROOT),
            "RINGPOST_CONFIG": str(self.config),
        }

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill whatever runs."""
        for program in reversed(self.programs.values()):
            program.kill()
        for stick in self.sticks:
            stick.control.close()
        if self._opened is not None:
            self._opened.close()

    def ringpost(self, *arguments: str, code: int = 0, timeout_s: float = 60.0, given: str = "") -> str:
        """Run the `ringpost` command on this box; what it printed. Fails unless it ends with `code`."""
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from gateway.cli import main; sys.exit(main())", *arguments],
            cwd=self.directory,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == code, (
            f"ringpost {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def module(self, name: str, *arguments: str) -> Program:
        """Start `python -m name`; one program per name, started anew when it has ended."""
        program = self.programs.get(name)
        if program is None:
            command = [sys.executable, "-m", name, *arguments]
            program = self.programs[name] = Program(name, command, self.directory, self.environment)
        return program.start()

    def gateway(self) -> Program:
        """Start the gateway; it is ready when the store knows this life's epoch."""
        before = self._epoch()
        program = self.module("gateway")
        program.ready(lambda: self._epoch() > before)
        return program

    def _epoch(self) -> int:
        with self.store.read() as view:
            return int(view.value("SELECT COALESCE(MAX(epoch), 0) FROM gateway WHERE name = ?", self.name) or 0)

    def web(self) -> Program:
        """Start the web; it is ready when it answers /healthz."""
        program = self.module("web")
        program.ready(lambda: self.get("/healthz")[0] == 200)
        return program

    def simulator(self, *, latency_s: float = 0.05, options: tuple[str, ...] = ()) -> Stick:
        """Start the next stick of the configuration; it is ready when its control socket answers."""
        number = len(self.sticks) + 1
        link, control = self._link(number), self.directory / f"stick{number}.sock"
        air_log = self.directory / f"air{number}.jsonl"
        command = [sys.executable, "-m", "modem.simulator", "--link", str(link), "--control", str(control)]
        command += ["--air-log", str(air_log), "--latency", str(latency_s)]
        card = f"{zlib.crc32(f'{self.name} {number}'.encode()):010d}"  # sticks of several sites must not be one and the same
        command += ["--imei", f"35000{card}", "--iccid", f"894600000{card}", "--imsi", f"24007{card}", *options]
        if self.clock_file is not None:
            command += ["--clock", str(self.clock_file)]
        program = Program(f"stick{number}", command, self.directory, self.environment)
        self.programs[program.name] = program
        stick = Stick(program, link, control, air_log)
        self.sticks.append(stick)
        return stick.start()

    def _link(self, number: int) -> Path:
        return self.directory / f"tty-stick{number}"

    def air(self, event: str | None = None) -> list[dict[str, Any]]:
        """The air logs of all sticks, by time."""
        entries = [entry for stick in self.sticks for entry in stick.air(event)]
        return sorted(entries, key=lambda entry: float(entry["t"]))

    def set_clock(self, *, offset_s: float = 0.0, speed: float = 1.0) -> None:
        """Move the clock of every process of this box; when this returns, each has seen it (FileClock looks every 50 ms)."""
        assert self.clock_file is not None, "this site has no test clock"
        FileClock.write(self.clock_file, offset_s=offset_s, speed=speed)
        threading.Event().wait(0.06)

    @property
    def store(self) -> Database:
        """This box's database, opened in the test's own process."""
        if self._opened is None:
            self._opened = Database(self.database_url)
        return self._opened

    def request(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """One HTTP request to the web; status and the answer (decoded where it is JSON). Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"content-type": "application/json"} if body is not None else {}
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {**sent, **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if "json" in answer.headers.get("content-type", ""):
            return answer.status, json.loads(content)
        return answer.status, content.decode(errors="replace")

    def get(self, path: str, *, key: str | None = None) -> tuple[int, Any]:
        """GET; status and the answer."""
        return self.request("GET", path, key=key)

    def post(self, path: str, body: Any, *, key: str | None = None, token: str | None = None) -> tuple[int, Any]:
        """POST JSON with an Idempotency-Key (`token`, default a fresh one); status and the answer."""
        return self.request("POST", path, body, key=key, headers={"idempotency-key": token or os.urandom(16).hex()})
