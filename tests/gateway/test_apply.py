"""`apply`: the second time nothing changes, a dry run changes nothing at all, and a bad row names table, line and cure."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import keys
from gateway.apply import Plan, apply
from gateway.errors import ConfigError
from gateway.flows import credits, endpoints
from gateway.flows.apply_rows import Change
from gateway.store import seal, setup
from gateway.store.database import Database

NOW = 1_772_445_600_000
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"t" * 32).decode()

ACME = """
[organisation]
ref = "acme"
name = "Acme AB"
language = "sv"
zone = "Europe/Stockholm"
region = "SE"
credits = 1000

[[unit]]
ref = "acme/se"
name = "Sweden"

[[unit]]
ref = "acme/se/north"
name = "North"
zone = "Europe/Helsinki"

[[user]]
email = "Eva@acme.example"
name = "Eva"
roles = ["recruiter"]
seat = true
unit = "acme/se"

[[user]]
email = "jo@acme.example"

[[case]]
ref = "job-7"
title = "Welder"
language = "sv"
unit = "acme/se"
team = ["eva@acme.example", "jo@acme.example"]

[[country]]
iso = "SE"
channel = "sms"
state = "active"
opt_in = "single"
acknowledgement = { text = "Without START", name = "Ann Ek", reference = "Legal advice 7/25", date = 2025-06-01 }
hours = "always"

[[country]]
iso = "IL"
hours = { weekdays = "08:00-20:00", friday = "08:00-13:00", saturday = "hold", sunday = "08:00-24:00" }

[[sender]]
number = "+46 70 174 06 99"
iccid = ""
countries = ["SE", "FI"]
international = true
pacing = { gap_seconds = 0.5 }

[[text]]
kind = "help"
language = "sv"
body = "{{company}} skriver om din ansökan."

[[template]]
unit = "acme/se"
name = "Interview invitation"
kind = "interview_invite"
channel = "sms"
language = "sv"
body = "Hej {{candidate.first_name}}! {{interview_link}}"

[[webhook]]
url = "http://127.0.0.1:9000/hook"
events = ["message.state"]
secret_file = "secret"
"""


@dataclass
class Desk:
    """A database and a directory to apply files in."""

    database: Database
    directory: Path
    keys: keys.Keys

    def plan(self, text: str) -> Plan:
        return Plan.read(text, str(self.directory / "acme.toml"))

    def apply(self, text: str, *, dry_run: bool = False, now: int = NOW) -> list[Change]:
        return apply(self.database, self.plan(text), self.keys, actor="cli:root", now=now, dry_run=dry_run)

    def refusal(self, text: str) -> str:
        before = self.everything()
        with pytest.raises(ConfigError) as caught:
            self.apply(text)
        assert self.everything() == before, "a refused file changed something"
        return str(caught.value).removeprefix(f"{self.directory}/")

    def everything(self) -> dict[str, list[dict[str, object]]]:
        """All rows that an apply file can touch."""
        tables = (
            "organisation",
            "app_user",
            "hiring_case",
            "case_member",
            "country",
            "sender",
            "wording",
            "template",
            "endpoint",
        )
        with self.database.read() as view:
            return {
                table: sorted((dict(row) for row in view.all(f"SELECT * FROM {table}")), key=str)
                for table in (*tables, "ledger", "balance", "audit")
            }


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    (tmp_path / "secret").write_text(SECRET + "\n")
    return Desk(database, tmp_path, keys.ensure(tmp_path / "state"))


def test_applied_twice_it_changes_nothing_the_second_time(desk: Desk) -> None:
    assert len(desk.apply(ACME)) == 13
    before = desk.everything()
    assert desk.apply(ACME, now=NOW + 1) == []
    assert desk.everything() == before


def test_a_dry_run_tells_the_same_and_changes_nothing(desk: Desk) -> None:
    before = desk.everything()
    told = desk.apply(ACME, dry_run=True)
    assert desk.everything() == before
    assert [str(change) for change in desk.apply(ACME)] == [str(change) for change in told]


def test_what_was_written_is_what_the_file_says(desk: Desk) -> None:
    desk.apply(ACME)
    with desk.database.read() as view:
        root = setup.the_organisation(view, "acme")
        assert (root["name"], root["language"], root["zone"], root["region"]) == ("Acme AB", "sv", "Europe/Stockholm", "SE")
        north = view.one(
            "SELECT u.*, p.ref AS parent FROM organisation u JOIN organisation p ON p.id = u.parent_id WHERE u.name = 'North'"
        )
        assert north is not None
        assert (north["parent"], north["language"], north["zone"], north["root_id"]) == (
            "acme/se",
            "sv",
            "Europe/Helsinki",
            root["id"],
        )
        eva, jo = setup.find_user(view, "eva@acme.example"), setup.find_user(view, "jo@acme.example")
        assert (json.loads(eva["roles"]), eva["seat"], eva["password_hash"]) == (["recruiter"], 1, None)
        assert (jo["name"], json.loads(jo["roles"]), jo["seat"], jo["active"]) == ("jo", [], 0, 1)
        assert view.value("SELECT COUNT(*) FROM case_member") == 2
        sender = view.one("SELECT * FROM sender")
        assert sender is not None
        assert (sender["number"], sender["iccid"], sender["gap_ms"], json.loads(sender["countries"])) == (
            "+46701740699",
            None,
            500,
            ["FI", "SE"],
        )
        israel = view.one("SELECT * FROM country WHERE iso = 'IL'")
        assert israel is not None
        assert (israel["channel"], israel["state"], israel["opt_in"]) == ("sms", "off", "double")
        assert json.loads(israel["hours"])["friday"] == "08:00-13:00"
        assert view.value("SELECT hours FROM country WHERE iso = 'SE'") == '"always"'
        endpoint = view.one("SELECT * FROM endpoint")
        assert endpoint is not None
        assert endpoints.open_secret(endpoint["secret_sealed"], desk.keys.seal) == b"s" * 32
        assert credits.balance(view, root["id"]).available == 1000


def test_each_difference_is_told_and_written(desk: Desk) -> None:
    desk.apply(ACME)
    (desk.directory / "secret").write_text(OTHER_SECRET)
    changed = (
        ACME.replace('"Sweden"', '"Sverige"')
        .replace("seat = true", "seat = false")
        .replace('["recruiter"]', '["recruiter", "viewer"]')
        .replace('"Welder"', '"Svetsare"')
        .replace(', "jo@acme.example"]', "]")
        .replace('"always"', '"default"')
        .replace("gap_seconds = 0.5", "gap_seconds = 6")
        .replace('"FI"', '"NO"')
        .replace("Hej {{", "Hallå {{")
        .replace('["message.state"]', '["*"]')
        .replace("credits = 1000", "credits = 5000")
    )
    told = desk.apply(changed, now=NOW + 1)
    assert [(change.table, change.key, change.old, change.new) for change in told] == [
        ("unit", "name", "Sweden", "Sverige"),
        ("user", "roles", ["recruiter"], ["recruiter", "viewer"]),
        ("user", "seat", True, False),
        ("case", "title", "Welder", "Svetsare"),
        ("case", "team", ["eva@acme.example", "jo@acme.example"], ["eva@acme.example"]),
        ("country", "hours", "always", "default"),
        ("sender", "countries", ["FI", "SE"], ["NO", "SE"]),
        ("sender", "pacing.gap_seconds", 0.5, 6),
        (
            "template",
            "body",
            "Hej {{candidate.first_name}}! {{interview_link}}",
            "Hallå {{candidate.first_name}}! {{interview_link}}",
        ),
        ("webhook", "events", ["message.state"], ["*"]),
        ("webhook", "secret", "(one)", "(another)"),
    ]
    assert desk.apply(changed, now=NOW + 2) == []
    with desk.database.read() as view:
        assert view.value("SELECT version FROM template") == 2
        assert view.value("SELECT available FROM balance") == 1000, "the first credits are granted once"
        assert view.value("SELECT old_secret_sealed FROM endpoint") is not None, "the old secret signs on for a while"


def test_a_key_that_is_not_written_leaves_the_value_alone(desk: Desk) -> None:
    desk.apply(ACME)
    less = """
        [organisation]
        ref = "acme"
        name = "Acme AB"
        [[user]]
        email = "eva@acme.example"
        [[country]]
        iso = "SE"
        [[sender]]
        number = "+46701740699"
        [[case]]
        ref = "job-7"
        """
    assert desk.apply(less) == []


def test_the_organisation_of_init_gets_its_name(desk: Desk) -> None:
    with desk.database.write() as tx:
        made = setup.create_organisation(tx, ref=setup.FIRST_REF, name="My organisation", actor="cli:t", now=1)
    told = desk.apply(ACME)
    assert str(told[0]) == '~ organisation acme ref: "main" → "acme"'
    with desk.database.read() as view:
        assert [row["id"] for row in setup.roots(view)] == [made]


def test_it_is_audited_row_by_row_without_personal_data(desk: Desk) -> None:
    desk.apply(ACME)
    if desk.database.is_postgresql:
        seal.seal(desk.database)
    with desk.database.read() as view:
        rows = view.all("SELECT action, actor, data FROM audit ORDER BY serial")
        assert seal.verify(view) is None
    actions = {row["action"] for row in rows}
    assert {
        "organisation.create",
        "credits.grant",
        "user.create",
        "case.create",
        "country.create",
        "sender.create",
        "text.create",
        "template.create",
        "webhook.create",
    } <= actions
    assert {row["actor"] for row in rows} == {"cli:root"}
    told = " ".join(row["data"] for row in rows)
    assert not [word for word in ("eva@", "Eva", "+4670", "whsec") if word in told]


@pytest.mark.parametrize(
    ("old", "new", "where", "table", "cure"),
    [
        ('"+46 70 174 06 99"', '"070-174 06 99"', "070-174", "[[sender]] number", "international form"),
        ('"+46 70 174 06 99"', '"+4612"', "+4612", "[[sender]] number", "international form"),
        ('iccid = ""', 'iccid = "123"', "123", "[[sender]] iccid", "18 to 20 digits"),
        ('"FI"]', '"FL"]', "FL", "[[sender]] countries", "write FI (Finland), LI (Liechtenstein"),
        ('iso = "IL"', 'iso = "Israel"', "Israel", "[[country]] iso", "ISO 3166"),
        ('iso = "IL"', 'iso = "SE"', "[[country]]", "[[country]]", "SE, sms stands here for a second time"),
        ('"08:00-24:00"', '"20:00-08:00"', "20:00-08:00", "[[country]] hours sunday", '"08:00-20:00", or "hold"'),
        ('friday = "', 'fryday = "', "fryday", "[[country]] hours", 'did you mean "friday"?'),
        ('"always"', '"alway"', '"alway"', "[[country]] hours", '"always", "default" or {'),
        ("gap_seconds = 0.5", "gap_seconds = -1", "-1", "[[sender]] pacing gap_seconds", "from 0 to 3600"),
        ("gap_seconds = 0.5", "gap = 1", "gap = 1", "[[sender]] pacing", 'found the key "gap"'),
        ('roles = ["recruiter"]', 'roles = ["recruter"]', "recruter", "[[user]] roles", 'did you mean "recruiter"?'),
        ('seat = true\nunit = "acme/se"', 'unit = "acme/de"', "acme/de", "[[user]] unit", "write a [[unit]] with that ref"),
        ('email = "jo@acme.example"', 'email = "jo"', '"jo"', "[[user]] email", "an e-mail address"),
        ('name = "Eva"', 'password = "x"', "password", "[[user]]", 'found the key "password"'),
        ('team = ["eva@', 'team = ["evan@', "evan", "[[case]] team", "No user with the e-mail address evan@acme.example"),
        ('title = "Welder"', "", "[[case]]", "[[case]]", "A new case needs a title"),
        ('kind = "interview_invite"', 'kind = "rejection"', "rejection", "[[template]] kind", "never goes by sms"),
        ('kind = "interview_invite"', 'kind = "invite"', "invite", "[[template]] kind", '"interview_invite"'),
        ("! {{interview_link}}", "!", "Hej", "[[template]] body", "needs {{interview_link}}"),
        ("! {{interview_link}}", "! {{interview_link", "Hej", "[[template]] body", "Line 1"),
        ('kind = "help"', 'kind = "helper"', "helper", "[[text]] kind", "one of"),
        ('language = "sv"\nbody = "{{c', 'language = "swedish"\nbody = "{{c', "swedish", "[[text]] language", '"sv" or "pt-BR"'),
        ('url = "http://127', 'url = "ftp://127', "ftp", "[[webhook]] url", "http"),
        ('["message.state"]', '["message.status"]', "message.status", "[[webhook]] events", 'did you mean "message.state"?'),
        ('secret_file = "secret"', 'secret_file = "nothing"', "nothing", "[[webhook]] secret_file", "cannot be read"),
        ('secret_file = "secret"', 'secret_file = "acme"', '"acme"', "[[webhook]] secret_file", "starts with whsec_"),
        ('zone = "Europe/Helsinki"', 'zone = "CET+1"', "CET+1", "[[unit]] zone", '"Europe/Stockholm"'),
        ('ref = "acme/se/north"', 'ref = "acme/no/north"', "[[unit]]", "[[unit]]", 'There is no unit "acme/no"'),
        ("credits = 1000", "credits = 1.5", "credits", "[organisation] credits", "a whole number"),
        ("[[webhook]]", "[[webhok]]", "[[webhok]]", '"webhok"', 'did you mean "webhook"?'),
    ],
)
def test_a_bad_row_names_table_line_and_cure(desk: Desk, old: str, new: str, where: str, table: str, cure: str) -> None:
    (desk.directory / "acme").write_text("no secret")
    assert old in ACME
    text = ACME.replace(old, new)
    words = desk.refusal(text)
    name, line, _ = words.split(":", 2)
    assert name == "acme.toml"
    assert where in text.splitlines()[int(line) - 1], words
    assert table in words
    assert cure in words


ACKNOWLEDGED = next(line for line in ACME.splitlines() if line.startswith("acknowledgement"))


def test_going_without_start_takes_the_acknowledgement_that_the_api_asks_for(desk: Desk) -> None:
    words = desk.refusal(ACME.replace(ACKNOWLEDGED, ""))
    assert "typed acknowledgement" in words
    for less in ('text = "Without START", ', 'name = "Ann Ek", ', 'reference = "Legal advice 7/25", ', ", date = 2025-06-01"):
        assert "acknowledgement" in desk.refusal(ACME.replace(less, "")), less
    assert "future" in desk.refusal(ACME.replace("2025-06-01", "2036-06-01"))
    assert 'belongs to opt_in = "single"' in desk.refusal(ACME.replace('opt_in = "single"', 'opt_in = "double"'))


def test_the_acknowledgement_is_kept_and_asked_for_once(desk: Desk) -> None:
    desk.apply(ACME)
    with desk.database.read() as view:
        kept = view.one("SELECT * FROM country_opt_in")
        assert kept is not None
    assert (kept["iso"], kept["before"], kept["after"], kept["name"]) == ("SE", "double", "single", "Ann Ek")
    assert (kept["reference"], kept["advised_on"], kept["actor"]) == ("Legal advice 7/25", "2025-06-01", "cli:root")
    assert desk.apply(ACME.replace(ACKNOWLEDGED, ""), now=NOW + 1) == [], "it is single already"
    back = desk.apply(ACME.replace(ACKNOWLEDGED, "").replace('"single"', '"double"'), now=NOW + 2)
    assert [(change.key, change.old, change.new) for change in back] == [("opt_in", "single", "double")]
    assert "typed acknowledgement" in desk.refusal(ACME.replace(ACKNOWLEDGED, ""))


def test_sms_is_switched_for_the_whole_organisation(desk: Desk) -> None:
    desk.apply(ACME)
    off = desk.apply(ACME.replace("credits = 1000", "credits = 1000\nsms = false"), now=NOW + 1)
    assert [(change.table, change.key, change.new) for change in off] == [("organisation", "sms_enabled", False)]


def test_a_bad_row_undoes_the_rows_before_it(desk: Desk) -> None:
    desk.apply(ACME)
    desk.refusal(ACME.replace('"Sweden"', '"Sverige"').replace('team = ["eva@', 'team = ["evan@'))


def test_the_last_administrator_cannot_be_applied_away(desk: Desk) -> None:
    desk.apply(ACME.replace('["recruiter"]', '["admin"]'))
    assert "[[user]] roles: This is the last administrator" in desk.refusal(ACME)


def test_a_number_and_a_card_belong_to_one_sender(desk: Desk) -> None:
    card = "894600000000000001"
    first = ACME.replace('iccid = ""', f'iccid = "{card}"')
    desk.apply(first)
    second = f'\n[[sender]]\nnumber = "+46701740698"\niccid = "{card}"\n'
    assert "already belongs to the sender +46701740699" in desk.refusal(first + second)


def test_seats_and_a_templates_own_fields_are_applied(desk: Desk) -> None:
    text = (
        '[organisation]\nref = "acme"\nname = "Acme"\nseats = 1\n'
        '[[template]]\nname = "T"\nkind = "contact"\nlanguage = "sv"\nbody = "Hej {{floor}}"\n'
        'fields = [{ name = "floor", type = "text", sample = "4" }]\n'
    )
    assert desk.apply(text)
    assert desk.apply(text) == []
    changed = desk.apply(text.replace("Hej", "Hallå"), now=NOW + 1)
    assert [(change.table, change.key) for change in changed] == [("template", "body")]
    with desk.database.read() as view:
        versions = view.all("SELECT version, body FROM template_version ORDER BY version")
    assert [(row["version"], row["body"]) for row in versions] == [(1, "Hej {{floor}}"), (2, "Hallå {{floor}}")]
    assert "did you mean" in desk.refusal(text.replace("{{floor}}", "{{flor}}")).casefold()
    two = "".join(f'[[user]]\nemail = "{name}@x.example"\nseat = true\n' for name in "ab")
    assert "seats are taken" in desk.refusal(text + two)
