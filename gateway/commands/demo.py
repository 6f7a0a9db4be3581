"""demo: the whole product in one command, gone without a trace after Ctrl-C."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.common import json_option

if TYPE_CHECKING:
    from gateway.demo import Demo
    from gateway.supervise import Supervisor

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.1


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Where the web listens (default: 8080, or another where that is taken)."
)
@click.option(
    "--clock",
    "clock_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True),
    help="A test clock for all processes.",
)
@json_option
def demo(port: int | None, clock_file: Path | None, as_json: bool) -> int:
    """Try Ringpost now: simulated modem, sample people, nothing to set up and nothing that leaves this machine.

    Everything lies in a temporary directory, which is removed when you stop it with Ctrl-C.
    """
    import os

    os.environ["RINGPOST_ENGINES"] = "sqlite"
    from gateway import demo as trial
    from gateway.commands.service import log_to_stderr
    from gateway.supervise import Supervisor

    log_to_stderr("warning")
    directory = Path(tempfile.mkdtemp(prefix="ringpost-demo-"))
    try:
        prepared = trial.prepare(directory, port, clock_file)
        supervisor = Supervisor(prepared.children(), patience_s=10.0)
        watch = _Watch(prepared, supervisor, as_json)
        code = supervisor.run(watch.look)
        if code or watch.failed:
            click.echo(f"The demo did not start. The last lines of its log:\n{_tail(prepared.log)}", err=True)
        elif not as_json:
            click.echo("\nStopped; everything of the demo is removed.")
        return code or int(watch.failed)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class _Watch:
    """Waits until the demo is ready and then prints its page, once."""

    def __init__(self, prepared: "Demo", supervisor: "Supervisor", as_json: bool) -> None:
        self._demo = prepared
        self._supervisor = supervisor
        self._as_json = as_json
        self._until = time.monotonic() + PATIENCE_S
        self.failed = False

    def look(self) -> float | None:
        """To be called every now and then; None when there is nothing more to wait for."""
        if self._demo.is_ready():
            _print(self._demo, self._as_json)
            return None
        if time.monotonic() > self._until:
            self.failed = True
            self._supervisor.stop()
            return None
        return LOOK_EVERY_S


def _print(prepared: "Demo", as_json: bool) -> None:
    import json
    import sys

    from gateway.demo import USER

    if as_json:
        click.echo(json.dumps(prepared.as_dict(), ensure_ascii=False))
    else:
        click.echo(
            f"""Ringpost is ready. The modem is simulated, the people are made up, nothing leaves this machine.

  Pages     {prepared.url}/
  Login     {USER}
  Password  {prepared.password}
  API       {prepared.url}/api/docs
  API key   {prepared.key}

Send a text to Kim (it answers with an id; the pages show it delivered a moment later):

  {prepared.curl}

Log       {prepared.log}
Stop with Ctrl-C."""
        )
    sys.stdout.flush()


def _tail(log: Path) -> str:
    if not log.exists():
        return "(it is empty)"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
