"""The configuration: what it fills in, what it refuses, and that every refusal says where and what instead."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import config as shipped
from gateway import config
from gateway.config import Listen, Modem, Panel, Power, Sim, Tls
from gateway.errors import ConfigError


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.read(text, "/etc/ringpost/ringpost.toml")
    return str(caught.value)


def test_an_empty_file_gives_the_defaults() -> None:
    settings = config.read("", "/etc/ringpost/ringpost.toml")
    assert settings.gateway.name == "ringpost"
    assert settings.gateway.state_dir == Path("/var/lib/ringpost")
    assert settings.gateway.database == "/var/lib/ringpost/ringpost.db"
    assert settings.gateway.log_level == "info"
    assert settings.gateway.test_clock is None
    assert settings.web.listen == Listen("0.0.0.0", 8443)
    assert settings.web.tls == Tls("auto")
    assert settings.web.candidate_listen is None
    assert (settings.web.threads, settings.web.processes) == (12, 1)
    assert settings.web.url == "https://localhost:8443"
    assert (settings.modems, settings.sims, settings.panel) == ((), (), Panel())
    assert (settings.smtp, settings.whatsapp, settings.backup) == (None, None, None)


def test_everything_that_is_written_arrives() -> None:
    settings = config.read(
        """
        [gateway]
        name = "attic-1"
        state_dir = "state"
        database = "postgresql://ringpost:secret@db.example/ringpost"
        log_level = "debug"
        test_clock = "clock.json"
        [web]
        listen = "[::1]:9000"
        candidate_listen = "127.0.0.1:9001"
        tls = { certificate = "c.pem", key = "/keys/k.pem" }
        public_url = "https://sms.acme.example/"
        threads = 4
        processes = 2
        [[modem]]
        port = "auto"
        [[modem]]
        name = "left"
        port = "/dev/ttyUSB2"
        imei = "490154203237518"
        dialect = "huawei"
        power = { uhubctl = "1-1.3:2" }
        [[modem]]
        port = "/dev/ttyUSB3"
        power = { gpio = 17 }
        [[sim]]
        iccid = "8946 0000 0000 0000 0016"
        pin_file = "pin"
        [panel]
        led_ok = 17
        button = 0
        [smtp]
        host = "mail.example"
        from = "box@acme.example"
        security = "tls"
        username = "box"
        password_file = "pw"
        [backup]
        target = "/mnt/b"
        passphrase_file = "bp"
        [whatsapp]
        phone_number_id = "1"
        business_account_id = "2"
        token_file = "t"
        app_secret_file = "a"
        verify_token_file = "v"
        """,
        "/srv/box/ringpost.toml",
    )
    assert settings.gateway.name == "attic-1"
    assert settings.gateway.state_dir == Path("/srv/box/state")
    assert settings.gateway.test_clock == Path("/srv/box/clock.json")
    assert settings.gateway.is_postgresql
    assert settings.web.listen == Listen("::1", 9000)
    assert str(settings.web.listen) == "[::1]:9000"
    assert settings.web.tls == Tls("files", Path("/srv/box/c.pem"), Path("/keys/k.pem"))
    assert settings.web.url == "https://sms.acme.example"
    assert settings.modems == (
        Modem("modem1", "auto", None, "auto", None),
        Modem("left", "/dev/ttyUSB2", "490154203237518", "huawei", Power(uhubctl="1-1.3:2")),
        Modem("modem3", "/dev/ttyUSB3", None, "auto", Power(gpio=17)),
    )
    assert settings.sims == (Sim("89460000000000000016", Path("/srv/box/pin")),)
    assert settings.panel == Panel(led_ok=17, button=0)
    assert settings.smtp is not None
    assert (settings.smtp.sender, settings.smtp.port) == ("box@acme.example", 465)
    assert settings.backup is not None
    assert settings.backup.keep_days == 35
    assert settings.whatsapp is not None
    assert settings.whatsapp.api_version == "v25.0"


def test_a_password_in_the_database_url_is_never_shown() -> None:
    settings = config.read('[gateway]\ndatabase = "postgresql://ringpost:hunter2@db/ringpost"')
    assert settings.gateway.database_shown == "postgresql://ringpost:***@db/ringpost"
    assert "hunter2" not in settings.gateway.database_shown


@pytest.mark.parametrize(
    ("text", "line", "found", "allowed"),
    [
        (
            '[web]\nlisten = "0.0.0.0:80"\nlisen = "x"',
            3,
            'found the key "lisen" (did you mean "listen"?)',
            "allowed are candidate_listen",
        ),
        ("[gateway]\n\n[wbe]", 3, 'found "wbe" (did you mean "web"?)', "the tables allowed are backup"),
        ("\n[[modem]]\nname = 'a'", 2, '[[modem]]: the key "port" is missing', 'allowed is "auto" or the path of a serial port'),
        ("[[modem]]\nport = 3", 2, "[[modem]] port: found 3;", 'allowed is "auto" or the path of a serial port'),
        ('[[modem]]\nport = "ttyUSB0"', 2, 'found "ttyUSB0"', '"auto" or the path'),
        ('[web]\nthreads = "eight"', 2, '[web] threads: found "eight"', "allowed is a whole number from 2 to 200"),
        ("[web]\nthreads = true", 2, "found true", "a whole number from 2 to 200"),
        ("[web]\nthreads = 1", 2, "found 1", "a whole number from 2 to 200"),
        ("[web]\nthreads = 2.5", 2, "found 2.5", "a whole number"),
        ('[gateway]\nlog_level = "inf"', 2, 'found "inf" (did you mean "info"?)', '"debug", "info", "warning", "error"'),
        ('[gateway]\nname = "two words"', 2, 'found "two words"', "letters, digits, dots and dashes"),
        ('[gateway]\ndatabase = "mysql://x"', 2, 'found "mysql:…"', "SQLite file"),
        ('[gateway]\ndatabase = "mysql://u:pw@x"', 2, 'found "mysql:…"', "SQLite file"),
        ('[web]\nlisten = "8443"', 2, 'found "8443"', "an address and a port"),
        ('[web]\nlisten = "1.2.3.4.5:80"', 2, 'found "1.2.3.4.5:80"', "an address and a port"),
        ('[web]\nlisten = "0.0.0.0:70000"', 2, 'found "0.0.0.0:70000"', "an address and a port"),
        ('[web]\nlisten = "0.0.0.0:80"\ntls = "off"', 3, 'found "off" while listen is "0.0.0.0:80"', '"127.0.0.1:80"'),
        ('[web]\ntls = "of"', 2, 'found "of"', '"auto", "off" or { certificate'),
        ('[web]\ntls = { certificate = "c" }', 2, 'the key "key" is missing', '"auto", "off" or'),
        ('[web]\ntls = { certificat = "c" }', 2, 'found the key "certificat" (did you mean "certificate"?)', "certificate, key"),
        ('[web]\npublic_url = "sms.acme.example"', 2, 'found "sms.acme.example"', "the address people use"),
        ('[web]\nlisten="0.0.0.0:1"\ncandidate_listen = "0.0.0.0:1"', 3, 'found "0.0.0.0:1"', "another port"),
        ("[modem]\nport = 'auto'", 1, "found [modem], a single table", "each under a [[modem]] of its own"),
        ("[[web]]\nthreads = 3", 1, "found [[web]], one or more rows", "one table [web]"),
        ("web = 3", 1, "found 3", "one table [web]"),
        ('[[modem]]\nport="auto"\nimei = "12"', 3, 'found "12"', "15 digits"),
        ('[[modem]]\nport="auto"\nimei = 490154203237518', 3, "found 490154203237518", "15 digits in quotes"),
        ('[[modem]]\nport="auto"\npower = { gpio = 40 }', 3, "found 40", "from 0 to 27"),
        ('[[modem]]\nport="auto"\npower = { relay = 4 }', 3, 'found the key "relay"', "gpio, uhubctl"),
        ('[[modem]]\nport="auto"\npower = 4', 3, "found 4", "{ gpio = 17 }"),
        (
            '[[modem]]\nname="a"\nport="/dev/a"\n[[modem]]\nname="a"\nport="/dev/b"',
            5,
            'found "a" for a second time',
            "a name of its own",
        ),
        ('[[modem]]\nport="/dev/a"\n[[modem]]\nport="/dev/a"', 4, 'found "/dev/a" for a second time', "a port of its own"),
        ('[[sim]]\npin_file = "x"', 1, 'the key "iccid" is missing', "18 to 20 digits"),
        ("[panel]\nled_ok = 4\nled_fault = 4", 3, "found 4", "a pin that no other key"),
        ('[smtp]\nhost = "x"', 1, 'the key "from" is missing', "an e-mail address"),
        ('[smtp]\nhost="x"\nfrom="a@b"\nusername="u"', 1, 'the key "password_file" is missing', "a file"),
        ('[whatsapp]\nphone_number_id="1"\nbusiness_account_id="2"\napi_version = "25"', 4, 'found "25"', '"v25.0"'),
        ("[web]\nthreads = = 3", 2, "this is not TOML", "invalid value"),
        ("[web]\nthreads = 3\nthreads = 4", 3, "this is not TOML", "cannot overwrite a value"),
    ],
)
def test_a_fault_names_line_what_was_found_and_what_is_allowed(text: str, line: int, found: str, allowed: str) -> None:
    words = refusal(text)
    assert words.startswith(f"/etc/ringpost/ringpost.toml:{line}: "), words
    assert found in words
    assert allowed in words


def test_a_password_in_a_wrong_database_url_is_not_repeated() -> None:
    assert "pw" not in refusal('[gateway]\ndatabase = "mysql://user:pw@host/x"')


def test_plain_http_may_be_had_on_this_machine_and_behind_a_proxy() -> None:
    config.read('[web]\nlisten = "127.0.0.1:80"\ntls = "off"')
    config.read('[web]\nlisten = "localhost:80"\ntls = "off"')
    config.read('[web]\ntls = "off"\npublic_url = "https://sms.acme.example"')
    assert "passwords would cross" in refusal('[web]\ntls = "off"\npublic_url = "http://sms.acme.example"')


def test_a_secret_may_come_from_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[[sim]]\niccid = "894600000000000001"\npin_file = "credential:pin1"'
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/ringpost")
    assert config.read(text).sims[0].pin_file == Path("/run/credentials/ringpost/pin1")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert "systemd has handed over no credentials" in refusal(text)


def test_the_file_is_the_one_named_never_one_that_lies_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ringpost.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGPOST_CONFIG", "/srv/other.toml")
    assert config.find("given.toml") == Path("given.toml")
    assert config.find() == Path("/srv/other.toml")
    monkeypatch.delenv("RINGPOST_CONFIG")
    monkeypatch.setattr(config, "DEFAULT_FILE", tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="named by -c FILE or RINGPOST_CONFIG"):
        config.find()


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config.load(tmp_path / "nothing.toml")
    (tmp_path / "latin.toml").write_bytes(b'[gateway]\n\nname = "\xe5"')
    with pytest.raises(ConfigError, match=r"latin.toml:3: is not UTF-8 text"):
        config.load(tmp_path / "latin.toml")


EXAMPLE = shipped.text("ringpost.toml")
UNCOMMENTED = re.sub(r"^# (?=\[|[a-z_]+ = )", "", EXAMPLE, flags=re.MULTILINE)


def test_the_example_changes_nothing() -> None:
    example, plain = config.read(EXAMPLE, "/etc/ringpost/ringpost.toml"), config.read("", "/etc/ringpost/ringpost.toml")
    assert (example.gateway, example.web, example.panel) == (plain.gateway, plain.web, plain.panel)
    assert example == plain


def test_every_line_of_the_example_may_be_taken_into_use() -> None:
    settings = config.read(UNCOMMENTED, "/etc/ringpost/ringpost.toml")
    assert settings.smtp
    assert settings.whatsapp
    assert settings.backup
    assert settings.modems[0].power
    assert settings.sims


def test_the_example_documents_every_key() -> None:
    values = tomllib.loads(UNCOMMENTED)
    tables = {
        "gateway": config.Gateway,
        "web": config.Web,
        "modem": Modem,
        "sim": Sim,
        "panel": Panel,
        "smtp": config.Smtp,
        "whatsapp": config.Whatsapp,
        "backup": config.Backup,
    }
    assert set(values) == set(tables)
    for name, kind in tables.items():
        shown = values[name][0] if isinstance(values[name], list) else values[name]
        known = {"from" if field.name == "sender" else field.name for field in fields(kind)}
        assert set(shown) == known, name


def test_the_shipped_tables_have_source_and_date_in_every_row() -> None:
    countries, keywords = shipped.table("countries.toml"), shipped.table("keywords.toml")
    rows = [
        *countries["country"],
        *countries["subdivision"],
        countries["unknown"],
        *keywords["language"].values(),
        keywords["everywhere"],
    ]
    for row in rows:
        assert row["source"]
        assert row["checked"].year >= 2026
    assert len({row["iso"] for row in countries["country"]}) == len(countries["country"])
    assert not {"FL", "UK"} & {row["iso"] for row in countries["country"]}
