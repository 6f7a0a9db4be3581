"""The `ringpost` command: its page of help, its exit codes, and what it prints for people and for programs."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import cli
from gateway.store import schema

NAMES = sorted(path.stem for path in (Path(schema.__file__).parent / "migrations").glob("0*.py"))
"""Every migration, oldest first."""

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    *("demo", "run", "gateway", "web", "init", "apply", "migrate", "check", "send", "queue", "audit", "modems"),
    *("key", "user", "credit", "pdu", "simulate-modem", "dev-fill", "setup-code"),
]


@dataclass
class Box:
    """A directory with a configuration, and the command line on it."""

    directory: Path

    def __post_init__(self) -> None:
        self.configure("")

    def configure(self, text: str) -> None:
        (self.directory / "ringpost.toml").write_text(
            f'[gateway]\nstate_dir = "state"\n[web]\nlisten = "127.0.0.1:8443"\n{text}', encoding="utf-8"
        )

    def ringpost(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command in this process, as `main` does; a process of its own costs half a second each time."""
        out, errors = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
            patch.chdir(self.directory)
            patch.setenv("RINGPOST_CONFIG", str(self.directory / "ringpost.toml"))
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode()), encoding="utf-8"))
            code = cli.run(arguments)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())

    def process(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command in a process of its own."""
        environment = {**os.environ, "RINGPOST_CONFIG": str(self.directory / "ringpost.toml"), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "gateway.cli", *arguments],
            cwd=self.directory,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def said(self, *arguments: str, given: str = "") -> str:
        """What a command that must do its work printed."""
        done = self.ringpost(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, code: int, given: str = "") -> str:
        """The one plain line of a command that must not."""
        done = self.ringpost(*arguments, given=given)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stderr


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.fixture
def ready(box: Box) -> Box:
    """A box that was initialised and has an office."""
    box.said(
        "init", "--admin", "Ann@acme.example", "--password-file", "-", "--organisation", "Acme", given="correct horse battery\n"
    )
    (box.directory / "acme.toml").write_text(
        """
        [organisation]
        ref = "acme"
        name = "Acme AB"
        region = "SE"
        credits = 10
        [[user]]
        email = "eva@acme.example"
        roles = ["recruiter"]
        seat = true
        [[case]]
        ref = "job-7"
        title = "Welder"
        team = ["eva@acme.example"]
        [[country]]
        iso = "SE"
        state = "active"
        opt_in = "single"
        acknowledgement = { text = "Without START", name = "Ann Ek", reference = "Legal advice 7/25", date = 2025-06-01 }
        hours = "always"
        [[sender]]
        number = "+46701740699"
        countries = ["SE"]
        """,
        encoding="utf-8",
    )
    box.said("apply", "acme.toml")
    return box


def test_help_is_a_page_that_names_every_command(box: Box) -> None:
    page = box.process("--help").stdout
    lines = page.splitlines()
    assert len(lines) <= 45
    assert max(len(line) for line in lines) <= 80
    listed = re.findall(r"^  ([a-z-]+) {2,}", page, re.MULTILINE)
    assert sorted(name for name in listed if not name.startswith("-")) == sorted(COMMANDS)


def test_help_loads_no_command(box: Box) -> None:
    heavy = "('gateway.commands.', 'gateway.store', 'peewee', 'modem.', 'flask', 'cryptography')"
    script = (
        "import sys; from gateway.cli import run; run(['--help']);"
        f"print([name for name in sys.modules if name.startswith({heavy})])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "simulate-modem"])
def test_every_command_has_its_own_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    assert capfd.readouterr().out.startswith(f"Usage: ringpost {name}")


def test_simulate_modem_is_the_simulator(box: Box) -> None:
    page = box.process("simulate-modem", "--help").stdout
    assert all(option in page for option in ("--link", "--air-log", "--control", "--latency"))


def test_a_misspelt_command_is_answered_with_the_right_one(box: Box) -> None:
    assert 'There is no command "queu". Did you mean "queue"?' in box.refused("queu", code=2)


@pytest.mark.parametrize(
    ("text", "line", "found", "allowed"),
    [
        ("lisen = 3", 5, 'found the key "lisen" (did you mean "listen"?)', "allowed are candidate_listen, candidate_url, listen"),
        ("[[modem]]\nname = 'a'", 5, 'the key "port" is missing', '"auto" or the path of a serial port'),
        (
            "[[modem]]\nport = '/dev/ttyNOTHERE'",
            6,
            'found "/dev/ttyNOTHERE", but nothing is there',
            '"auto" or a port of this machine',
        ),
        ("threads = 'eight'", 5, 'found "eight"', "a whole number from 2 to 200"),
        ("[[sim]]\niccid = '894600000000000001'\npin_file = 'pin'", 7, "there is no such file", "a file that this user may read"),
    ],
)
def test_check_names_file_and_line_and_ends_with_2(box: Box, text: str, line: int, found: str, allowed: str) -> None:
    box.configure(text)
    words = box.refused("check", code=2)
    assert f"ringpost.toml:{line}: " in words
    assert found in words
    assert allowed in words
    assert words.count("\n") == 1


def test_a_good_configuration_passes(box: Box) -> None:
    assert "good (0 modems" in box.said("check")
    told = json.loads(box.said("check", "--json"))
    assert told["ok"]
    assert told["url"] == "https://127.0.0.1:8443"
    assert box.said("check", "--example") == (ROOT / "config" / "ringpost.toml").read_text()


def test_the_configuration_may_be_named_before_and_after_the_command(box: Box) -> None:
    (box.directory / "other.toml").write_text("[gateway]\nnme = 3")
    assert "other.toml:2" in box.refused("-c", "other.toml", "check", code=2)
    assert "other.toml:2" in box.refused("check", "-c", "other.toml", code=2)
    assert "other.toml:2" in box.refused("key", "list", "-c", "other.toml", code=2)
    assert "cannot be read" in box.refused("-c", "nothing.toml", "check", code=2)


def test_without_a_database_every_command_says_what_to_do_and_ends_with_3(box: Box) -> None:
    for command in (["queue"], ["modems"], ["key", "list"], ["user", "list"], ["credit", "show"], ["apply", "x.toml"]):
        assert "run `ringpost init`" in box.refused(*command, code=3)


def test_init_may_be_run_again(box: Box) -> None:
    first = json.loads(
        box.said("init", "--admin", "Ann@acme.example", "--password-file", "-", "--json", given="correct horse battery\n")
    )
    assert (first["migrations"], first["admin"], first["admin_created"]) == (NAMES, "ann@acme.example", True)
    again = json.loads(box.said("init", "--admin", "ann@acme.example", "--json"))
    assert (again["migrations"], again["admin_created"]) == ([], False)
    (person,) = json.loads(box.said("user", "list", "--json"))
    assert (person["email"], person["roles"], person["seat"], person["password"]) == (
        "ann@acme.example",
        ["admin", "operator"],
        False,
        True,
    )
    assert json.loads(box.said("migrate", "--json"))["migrations"] == []


def test_init_refuses_a_weak_password_and_wants_one(box: Box) -> None:
    weak = box.refused("init", "--admin", "a@b.example", "--password-file", "-", code=2, given="short\n")
    assert "it needs at least" in weak
    assert "--password-file" in box.refused("init", "--admin", "a@b.example", code=2)
    assert "is not an e-mail address" in box.refused("init", "--admin", "a", "--password-file", "-", code=1, given="x\n")


def test_files_of_the_box_are_nobody_elses_business(box: Box) -> None:
    done = box.process("init", "--admin", "ann@acme.example", "--password-file", "-", given="correct horse battery\n")
    assert done.returncode == 0, done.stderr
    state = box.directory / "state"
    loose = [path.name for path in [state, *state.rglob("*")] if path.stat().st_mode & 0o007]
    assert loose == []


def test_key_add_prints_the_key_alone(ready: Box) -> None:
    done = ready.ringpost("key", "add", "ats", "--scope", "messages:write", "--scope", "messages:read")
    assert re.fullmatch(r"rp_[\w-]{43}\n", done.stdout)
    assert "cannot be shown again" in done.stderr
    (row,) = json.loads(ready.said("key", "list", "--json"))
    assert (row["name"], row["scopes"], row["revoked_at"]) == ("ats", ["messages:read", "messages:write"], None)
    assert done.stdout.strip() not in json.dumps(row)
    ready.said("key", "revoke", "ats")
    (row,) = json.loads(ready.said("key", "list", "--json"))
    assert row["revoked_at"] is not None
    assert '"nonsense" is not a scope' in ready.refused("key", "add", "x", "--scope", "nonsense", code=1)
    assert 'no live key "ats"' in ready.refused("key", "revoke", "ats", code=1)


def test_credits_are_granted_once_per_reference(ready: Box) -> None:
    assert json.loads(ready.said("credit", "grant", "500", "--reference", "PO-7", "--json"))["available"] == 510
    assert "already made" in ready.refused("credit", "grant", "500", "--reference", "PO-7", code=1)
    assert "whole numbers" in ready.refused("credit", "grant", "--reference", "PO-8", "--", "-5", code=1)
    told = json.loads(ready.said("credit", "show", "--json"))
    assert (told["available"], told["reserved"], [entry["reference"] for entry in told["ledger"]]) == (
        510,
        0,
        ["PO-7", "apply:first"],
    )
    assert json.loads(ready.said("credit", "verify", "--json")) == []


def test_people_are_added_changed_and_given_passwords(ready: Box) -> None:
    ready.said("user", "add", "Jo@acme.example", "--role", "viewer")
    assert "exists" in ready.refused("user", "add", "jo@acme.example", code=1)
    assert '"boss" is not a role' in ready.refused("user", "add", "bo@acme.example", "--role", "boss", code=1)
    assert json.loads(ready.said("user", "change", "jo@acme.example", "--role", "recruiter", "--seat", "--json"))["changed"]
    assert not json.loads(ready.said("user", "change", "jo@acme.example", "--seat", "--json"))["changed"]
    ready.said("user", "password", "jo@acme.example", "--password-file", "-", given="correct horse battery\n")
    people = {person["email"]: person for person in json.loads(ready.said("user", "list", "--json"))}
    jo = people["jo@acme.example"]
    assert (jo["roles"], jo["seat"], jo["password"]) == (["recruiter"], True, True)
    assert "last administrator" in ready.refused("user", "change", "ann@acme.example", "--role", "viewer", code=1)
    assert "There is no user" in ready.refused("user", "password", "no@acme.example", "--password-file", "-", code=1)


def test_apply_prints_the_difference_and_a_bad_row_ends_with_2(ready: Box) -> None:
    assert ready.said("apply", "acme.toml") == "Nothing to change.\n"
    text = (ready.directory / "acme.toml").read_text()
    (ready.directory / "acme.toml").write_text(text.replace("Welder", "Svetsare"))
    assert ready.said("apply", "--dry-run", "acme.toml") == '~ case job-7 title: "Welder" → "Svetsare"\n1 change would be made.\n'
    told = json.loads(ready.said("apply", "--dry-run", "acme.toml", "--json"))
    assert told["changes"] == [{"table": "case", "row": "job-7", "key": "title", "old": "Welder", "new": "Svetsare"}]
    assert ready.said("apply", "acme.toml").endswith("1 change made.\n")
    assert ready.said("apply", "acme.toml") == "Nothing to change.\n"
    (ready.directory / "acme.toml").write_text(text.replace('"SE"\n        state', '"XX"\n        state'))
    words = ready.refused("apply", "acme.toml", code=2)
    assert re.search(r'acme.toml:\d+: \[\[country\]\] iso: found "XX"; allowed is', words)


def test_send_goes_through_every_rule(ready: Box) -> None:
    script = """
import sys
from gateway import config, keys
from gateway.flows.candidates import CandidateFields, put_candidate
from gateway.flows.consents import ConsentPush, push_consent
from gateway.store import schema, setup
settings = config.load(sys.argv[1])
database = schema.open_database(settings)
with database.write() as tx:
    owner = setup.the_organisation(tx, None)["id"]
    for ref in ("cand-1", "cand-2"):
        fields = CandidateFields(first_name="Kim", phone_raw="0701740605" if ref == "cand-1" else "0701740606")
        put_candidate(tx, owner, ref, fields, "cli:t", 1, phone_key=keys.load(settings.gateway.state_dir).phone)
    push = ConsentPush(status="granted", captured_at=1, evidence={"wording_version": "1", "wording_text": "Yes"})
    push_consent(tx, owner, "cand-1", "sms", push, "cli:t", 1)
database.close()
"""
    subprocess.run([sys.executable, "-c", script, str(ready.directory / "ringpost.toml")], cwd=ROOT, check=True, timeout=60)
    common = ("--user", "eva@acme.example", "--case", "job-7")
    seen = json.loads(ready.said("send", "--candidate", "cand-1", *common, "--preview", "--json", "Hej €"))
    assert (seen["parts"], seen["credits"], seen["refused"], seen["encoding"]) == (1, 1, None, "gsm7")
    told = json.loads(ready.said("send", "--candidate", "cand-1", *common, "--json", "-", given="Hej från stdin\n"))
    assert (told["state"], told["parts"], told["credits"], told["sender"]) == ("held", 1, 1, "+46701740699")
    assert "has not consented" in ready.refused("send", "--candidate", "cand-2", *common, "Hej", code=1)
    assert "No candidate" in ready.refused("send", "--candidate", "cand-9", *common, "Hej", code=1)
    not_a_sender = ("--user", "ann@acme.example", "--case", "job-7")
    assert "lacks the right" in ready.refused("send", "--candidate", "cand-1", *not_a_sender, "Hej", code=1)
    queue = json.loads(ready.said("queue", "--json"))
    states = {row["id"]: row["state"] for row in queue["messages"]}
    assert states.pop(told["id"]) == "held", "behind the identification, which goes first"
    assert list(states.values()) == ["queued"]
    assert told["id"] in ready.said("queue")
    assert json.loads(ready.said("queue", "--state", "sent", "--json"))["messages"] == []
    assert 'no state "lost"' in ready.refused("queue", "--state", "lost", code=2)
    assert json.loads(ready.said("modems", "--json")) == []
    assert "No gateway has reported a modem yet." in ready.said("modems")


DELIVER = "07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07"


def test_pdu_decode_names_every_field(box: Box) -> None:
    told = json.loads(box.said("pdu", "decode", "--json", DELIVER))
    assert (told["SMSC"], told["TP-MTI"], told["TP-OA"]["number"], told["TP-UD"]) == (
        "+31624000000",
        "SMS-DELIVER",
        "+31641600986",
        "How are you?",
    )
    page = box.said("pdu", "decode", DELIVER)
    assert re.search(r"^TP-UD +How are you\?$", page, re.MULTILINE)


def test_pdu_goes_there_and_back_line_by_line(box: Box) -> None:
    text = "Grüße 😀 " * 20
    lines = "".join(json.dumps({"to": "+46701740605", "text": each}) + "\n" for each in ("Hej €", text))
    short, long = (
        json.loads(line) for line in box.said("pdu", "encode", "--json", "-", "--reference", "7", given=lines).splitlines()
    )
    assert (short["alphabet"], len(short["parts"])) == ("gsm7", 1)
    assert long["alphabet"] == "ucs2"
    pdus = "".join(part["pdu"] + "\n" for part in short["parts"] + long["parts"])
    back = [json.loads(line) for line in box.said("pdu", "decode", "--json", "-", given=pdus).splitlines()]
    assert back[0]["TP-UD"] == "Hej €"
    assert "".join(each["TP-UD"] for each in back[1:]) == text
    assert {each["concatenation"]["reference"] for each in back[1:]} == {7}
    bare = [json.loads(box.said("pdu", "decode", "--json", "--tpdu", short["parts"][0]["pdu"][2:]))]
    assert bare[0]["TP-UD"] == "Hej €"


def test_a_pdu_that_is_none_gets_a_word_and_exit_code_1(box: Box) -> None:
    done = box.ringpost("pdu", "decode", "--json", "-", given=f"zz\n{DELIVER}\n00\n")
    assert done.returncode == 1
    first, second, third = (json.loads(line) for line in done.stdout.splitlines())
    assert "hex digits" in first["error"]
    assert second["TP-UD"] == "How are you?"
    assert third["error"]
    assert "has no digits" in box.refused("pdu", "encode", "+", "Hej", code=1)
    assert "NUMBER and TEXT" in box.refused("pdu", "encode", code=2)


@pytest.mark.parametrize("arguments", [["gateway"], ["web"], ["run"]])
def test_services_end_with_2_on_a_wrong_configuration(box: Box, arguments: Sequence[str]) -> None:
    box.configure("threads = 'eight'")
    done = box.process(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"ringpost: .*ringpost.toml:5: \[web\] threads: found \"eight\"; allowed is .*\n", done.stderr)


@pytest.mark.postgresql
def test_the_same_commands_work_on_postgresql(box: Box, empty_postgresql_url: str) -> None:
    (box.directory / "ringpost.toml").write_text(
        f'[gateway]\nstate_dir = "state"\ndatabase = "{empty_postgresql_url}"\n', encoding="utf-8"
    )
    assert "run `ringpost init`" in box.refused("user", "list", code=3)
    box.said("init", "--admin", "ann@acme.example", "--password-file", "-", given="correct horse battery\n")
    assert box.said("migrate") == "The database is up to date.\n"
    (box.directory / "acme.toml").write_text('[organisation]\nref = "acme"\nname = "Acme"\ncredits = 10\n')
    box.said("apply", "acme.toml")
    assert box.said("apply", "acme.toml") == "Nothing to change.\n"
    assert box.said("key", "add", "ats").startswith("rp_")
    assert json.loads(box.said("credit", "show", "--json"))["available"] == 10
    done = box.process("queue", "--json")
    assert json.loads(done.stdout) == {"messages": [], "more": False}, done.stderr
