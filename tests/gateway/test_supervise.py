"""The supervisor: real processes, killed and started again, stopped together."""

import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path

import pytest

from gateway import supervise, wake
from tests.processes import free_port, until

ROOT = Path(__file__).resolve().parents[2]


class Supervised:
    """A supervisor in a process of its own, over children that are small Python programs."""

    def __init__(self, directory: Path, **children: str) -> None:
        self.directory = directory
        programs = {}
        for name, body in children.items():
            program = directory / f"{name}.py"
            lines = (
                "import os, signal, sys, pathlib",
                f"here = pathlib.Path({str(directory)!r})",
                f"with (here / '{name}.pids').open('a') as pids: print(os.getpid(), file=pids)",
            )
            program.write_text("\n".join([*lines, textwrap.dedent(body)]))
            programs[name] = [sys.executable, str(program)]
        script = (
            "import sys\nfrom gateway import supervise\n"
            "supervise.FIRST_PAUSE_S = 0.05\n"
            f"children = [supervise.Child(name, command) for name, command in {programs!r}.items()]\n"
            "sys.exit(supervise.Supervisor(children, patience_s=5.0).run())\n"
        )
        self.process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE)

    def pids(self, name: str) -> list[int]:
        file = self.directory / f"{name}.pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def lives(self, name: str, count: int) -> int:
        """Wait until a child has been started so many times; its newest pid."""
        return until(lambda: len(self.pids(name)) >= count and self.pids(name)[-1], about=f"life {count} of {name}")

    def end(self) -> tuple[int, str]:
        """Wait for the supervisor; its exit code, and what it said."""
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said.decode()


WAIT = "signal.pause()"


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_that_dies_is_started_again_and_the_other_is_left_alone(tmp_path: Path) -> None:
    box = Supervised(tmp_path, one=WAIT, two=WAIT)
    other = box.lives("two", 1)
    for life in (1, 2):
        os.kill(box.lives("one", life), signal.SIGKILL)
    box.lives("one", 3)
    assert box.pids("two") == [other]
    box.process.terminate()
    code, said = box.end()
    assert code == 0
    assert "one was killed by signal 9, starting it again in 0.1 s" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all_of_them_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    tidy = """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit((here / f"tidy-{os.getpid()}").touch()))
        (here / f"up-{os.getpid()}").touch()
        signal.pause()
        """
    box = Supervised(tmp_path, one=tidy, two=tidy)
    pids = [box.lives("one", 1), box.lives("two", 1)]
    until(lambda: all((tmp_path / f"up-{pid}").exists() for pid in pids))
    box.process.send_signal(number)
    assert box.end()[0] == 0
    assert all((tmp_path / f"tidy-{pid}").exists() for pid in pids)
    assert [len(box.pids(name)) for name in ("one", "two")] == [1, 1]


@pytest.mark.parametrize("code", [2, 3, 4])
def test_a_child_that_cannot_be_helped_ends_all_with_its_code(tmp_path: Path, code: int) -> None:
    box = Supervised(tmp_path, one=WAIT, two=f"sys.exit({code})")
    ended, said = box.end()
    assert ended == code
    assert f"two ended with code {code}: starting it again would not help" in said
    assert not any(is_alive(pid) for pid in box.pids("one"))


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    deaf = """
        signal.signal(signal.SIGTERM, lambda *_: (here / "heard").touch())
        (here / "up").touch()
        while True: signal.pause()
        """
    box = Supervised(tmp_path, one=deaf)
    pid = box.lives("one", 1)
    until((tmp_path / "up").exists)
    box.process.terminate()
    until((tmp_path / "heard").exists)
    box.process.terminate()
    code, said = box.end()
    assert code == 0
    assert "one does not stop, killing it" in said
    assert not is_alive(pid)


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    box = Supervised(tmp_path, one=WAIT, two=WAIT)
    pids = [box.lives("one", 1), box.lives("two", 1)]
    box.process.kill()
    box.end()
    until(lambda: not any(is_alive(pid) for pid in pids))


def test_pauses_double_up_to_half_a_minute() -> None:
    child = supervise.Child("one", ["true"], started_at=-1e9)
    assert child.plan_restart() == 0.5
    child.started_at = 1e12  # it has not lived long
    assert [child.plan_restart() for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_ring_wakes_who_listens_and_nobody_minds_where_nobody_does(tmp_path: Path) -> None:
    wake.ring(tmp_path)
    wake.ring(tmp_path / "nothing")
    for directory in (tmp_path, tmp_path / ("long" * 40)):
        directory.mkdir(exist_ok=True)
        with wake.listen(directory) as bell:
            for _ in range(1000):
                wake.ring(directory)
            assert bell.recv(16)
            wake.drain(bell)
            with pytest.raises(BlockingIOError):
                bell.recv(16)
        with wake.listen(directory) as bell:  # as after a kill: the old socket file still lies there
            wake.ring(directory)
            assert bell.recv(16)


def test_run_makes_the_database_starts_both_and_stops_both(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "ringpost.toml"
    file.write_text(f'[gateway]\nstate_dir = "state"\n[web]\nlisten = "127.0.0.1:{port}"\ntls = "off"\n')
    log = tmp_path / "log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "gateway.cli", "-c", str(file), "run"]
        box = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output)
    try:
        until(lambda: "ready" in log.read_text() and "listening" in log.read_text() and fetch(port, "/healthz"))
        second = subprocess.run(
            [sys.executable, "-m", "gateway", "-c", str(file)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert second.returncode == 4, second.stderr
    finally:
        box.terminate()
        box.wait(30)
    assert box.returncode == 0, log.read_text()
    assert "migrated to" in log.read_text()
    assert "Nobody can log in yet" in log.read_text()


def fetch(port: int, path: str) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return bool(answer.status == 200)
