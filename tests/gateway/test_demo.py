"""`ringpost demo` as a newcomer meets it: one command, one curl line, delivered, at any hour of any day."""

import contextlib
import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modem.clock import FileClock
from tests.processes import until

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime.now(UTC).timestamp()
SUNDAY_3_IN_STOCKHOLM = datetime(2026, 12, 6, 2, 0, tzinfo=UTC).timestamp()
CHRISTMAS_EVE = datetime(2027, 12, 24, 22, 59, tzinfo=UTC).timestamp()


class Demo:
    """A running demo."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self.errors = directory / "errors"
        environment = {**os.environ, "TMPDIR": str(directory), "PYTHONPATH": os.pathsep.join([str(ROOT), *_others()])}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "demo", *arguments],
                cwd=directory,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def first_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.errors.read_text() + "".join(log.read_text() for log in self.directory.glob("*/log"))
        return line

    def stop(self) -> int:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode


def _others() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


@contextlib.contextmanager
def demo(directory: Path, *arguments: str) -> Iterator[Demo]:
    running = Demo(directory, *arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait(10)
        if running.process.stdout is not None:
            running.process.stdout.close()


def get(told: dict[str, Any], path: str) -> Any:
    request = urllib.request.Request(told["url"] + path, headers={"Authorization": f"Bearer {told['key']}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def signed_in(pages: str, login: str, password: str) -> Callable[[str], str]:
    """Sign in as a browser does; gives what a page shows."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def page_of(path: str, form: dict[str, str] | None = None) -> str:
        body = None if form is None else urllib.parse.urlencode(form).encode()
        with browser.open(pages + path, body, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page_of("admin/login"))
    assert token is not None
    page_of("admin/login", {"csrf_token": token[1], "email": login, "password": password})
    return page_of


def pids_below(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]


@pytest.mark.parametrize(
    "moment", [NOW, SUNDAY_3_IN_STOCKHOLM, CHRISTMAS_EVE], ids=["now", "Sunday 03:00", "Christmas Eve 23:59"]
)
def test_the_curl_line_is_accepted_and_delivered_within_ten_seconds(tmp_path: Path, moment: float) -> None:
    clock_file = tmp_path / "clock.json"
    FileClock.write(clock_file, offset_s=moment - datetime.now(UTC).timestamp())
    with demo(tmp_path, "--json", "--clock", str(clock_file)) as running:
        told = json.loads(running.first_line())
        curl = subprocess.run(
            ["sh", "-c", told["curl"] + " -w ' %{http_code}'"], capture_output=True, text=True, timeout=20, check=True
        )
        body, _, status = curl.stdout.rpartition(" ")
        assert status == "202", curl.stdout
        message = json.loads(body)["id"]
        until(lambda: get(told, f"/api/v1/messages/{message}")["state"] == "delivered", timeout_s=10)
        air = [json.loads(line) for line in next(tmp_path.glob("ringpost-demo-*/air.jsonl")).read_text().splitlines()]
        to = [entry["to"] for entry in air if entry["event"] == "submit"]
        assert to == ["+46701740605"] * 2  # who writes and why (S45), then the text
        children = pids_below(running.process.pid)
        assert len(children) == 3
        assert running.stop() == 0
    assert not list(tmp_path.glob("ringpost-demo-*")), "the temporary directory stayed"
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()], "a process stayed"
    assert running.errors.read_text() == ""


def test_the_page_for_people_says_all_that_is_needed_and_the_login_works(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with demo(tmp_path, "--port", str(port)) as running:
        page = running.first_line()
        assert page.startswith("Ringpost is ready.")
        assert running.process.stdout is not None
        while "Stop with Ctrl-C" not in page:
            page += running.first_line()
        values = dict(
            line.split(maxsplit=1) for line in page.splitlines() if line.startswith("  ") and not line.startswith("  curl")
        )
        assert values["Pages"] == f"http://127.0.0.1:{port}/"
        assert values["Login"] == "eva@acme.example"
        assert values["Password"]
        (curl,) = [line for line in page.splitlines() if line.startswith("  curl ")]
        assert "Idempotency-Key" in curl
        done = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, timeout=20, check=True)
        message = json.loads(done.stdout)["id"]
        page_of = signed_in(values["Pages"], values["Login"], values["Password"])
        until(lambda: "delivered" in page_of(f"admin/messages/{message}").lower())
        with demo(tmp_path, "--port", str(port)) as second:
            assert second.process.wait(30) == 1
            assert f"port {port} is taken" in second.errors.read_text()
        assert running.stop() == 0


def test_a_killed_web_and_a_killed_gateway_come_back(tmp_path: Path) -> None:
    with demo(tmp_path, "--json") as running:
        told = json.loads(running.first_line())
        for number in (1, 2):
            before = pids_below(running.process.pid)
            os.kill(before[number], signal.SIGKILL)
            until(lambda: len(set(pids_below(running.process.pid)) - set(before)) == 1)  # noqa: B023  # used at once
        until(lambda: get(told, "/readyz")["status"] == "ready")
        done = subprocess.run(["sh", "-c", told["curl"]], capture_output=True, text=True, timeout=20, check=True)
        message = json.loads(done.stdout)["id"]
        until(lambda: get(told, f"/api/v1/messages/{message}")["state"] == "delivered", timeout_s=15)
        assert running.stop() == 0
