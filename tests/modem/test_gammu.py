"""Debian's gammu as a client of the simulated modem: a program that knows nothing of us believes in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from modem.pdu import Submit
from modem.segments import Alphabet
from modem.simulator import SimulatedModem
from tests.support import missing

pytestmark = pytest.mark.gammu

SWEDISH = ("Hej! Vi vill gärna träffa dig på en intervju nästa vecka. Åk till Östra Förstadsgatan, ring på hos oss. " * 4)[:400]
RUSSIAN = "Здравствуйте, мы приглашаем вас на собеседование. " * 3


@pytest.fixture(scope="module")
def gammu() -> str:
    found = shutil.which("gammu")
    if found is None:
        missing("gammu", "sudo apt install --no-install-recommends gammu")
    return found


@pytest.fixture
def sim() -> Iterator[SimulatedModem]:
    with SimulatedModem(latency_s=0.05) as modem:
        yield modem


def run(gammu: str, sim: SimulatedModem, home: Path, *arguments: str) -> str:
    config = home / "gammurc"
    config.write_text(f"[gammu]\ndevice = {sim.link}\nconnection = at\nsynchronizetime = no\n")
    # Without a UTF-8 locale gammu takes a text for Latin-1.
    done = subprocess.run(
        [gammu, "-c", str(config), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sent(sim: SimulatedModem) -> list[Submit]:
    parts = [Submit.decode(bytes.fromhex(entry["tpdu"])) for entry in sim.submits()]
    return sorted(parts, key=lambda part: part.concat.number if part.concat else 0)


def test_gammu_identifies_the_modem(gammu: str, sim: SimulatedModem, tmp_path: Path) -> None:
    said = run(gammu, sim, tmp_path, "identify")
    assert "Ringpost" in said
    assert "004999010640000" in said
    assert "001010000000017" in said


@pytest.mark.parametrize(
    ("text", "options", "alphabet", "parts"),
    [(SWEDISH, (), Alphabet.GSM7, 3), (RUSSIAN, ("-unicode",), Alphabet.UCS2, 3)],
)
def test_gammu_sends_long_texts(
    gammu: str,
    sim: SimulatedModem,
    tmp_path: Path,
    text: str,
    options: tuple[str, ...],
    alphabet: Alphabet,
    parts: int,
) -> None:
    run(gammu, sim, tmp_path, "sendsms", "TEXT", "+46701740605", "-autolen", "400", *options, "-text", text)
    found = sent(sim)
    assert "".join(part.text for part in found) == text
    assert [part.concat.number for part in found if part.concat] == list(range(1, parts + 1))
    assert {part.destination.number for part in found} == {"+46701740605"}
    assert {part.alphabet for part in found} == {alphabet}
