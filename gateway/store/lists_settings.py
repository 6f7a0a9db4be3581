"""What the settings page asks: how mail fares, and one organisation's row."""

from dataclasses import dataclass

from gateway.store.database import Row, View


@dataclass(frozen=True, slots=True)
class Mail:
    """Mails that wait, those given up, and what the server last said."""

    waiting: int
    dead: int
    last_answer: str | None


def mail(view: View) -> Mail:
    """How mail fares."""
    waiting = view.value("SELECT COUNT(*) AS n FROM mail WHERE state = 'waiting'")
    dead = view.value("SELECT COUNT(*) AS n FROM mail WHERE state = 'dead'")
    row = view.one("SELECT answer FROM mail WHERE answer IS NOT NULL ORDER BY id DESC LIMIT 1")
    return Mail(int(waiting or 0), int(dead or 0), None if row is None else row["answer"])


def organisation(view: View, organisation_id: str) -> Row:
    """The main organisation with all its columns."""
    row = view.one("SELECT * FROM organisation WHERE id = ?", organisation_id)
    assert row is not None
    return row
