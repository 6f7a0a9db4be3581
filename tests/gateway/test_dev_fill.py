"""`ringpost dev-fill`: a small store filled from the command line, verified, and not filled again."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway import cli


@pytest.fixture
def ringpost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """The command line on a fresh test store; (exit code, what it printed)."""
    (tmp_path / "ringpost.toml").write_text('[gateway]\nstate_dir = "state"\n')
    monkeypatch.setenv("RINGPOST_CONFIG", str(tmp_path / "ringpost.toml"))

    def run(arguments: Sequence[str]) -> tuple[int, str]:
        code = cli.run(arguments)
        said = capsys.readouterr()
        return code, said.out + said.err

    assert run(["init", "--test"])[0] == 0
    return run


def test_it_fills_and_verifies_and_refuses_to_fill_again(ringpost) -> None:  # type: ignore[no-untyped-def]
    few = ["--messages", "50", "--threads", "10", "--audit", "90"]
    code, said = ringpost(["dev-fill", *few, "--json"])
    assert (code, json.loads(said)["messages"]) == (0, 50)
    assert ringpost(["audit", "verify"])[1].startswith("Whole: 90 audit rows")
    code, said = ringpost(["dev-fill", *few])
    assert code == 1
    assert "has messages already" in said


def test_its_page_says_that_it_is_for_development(ringpost) -> None:  # type: ignore[no-untyped-def]
    assert "For development" in ringpost(["dev-fill", "--help"])[1]
    assert "dev-fill" in ringpost(["--help"])[1]
