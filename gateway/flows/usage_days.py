"""Usage added up by day, ahead of the reports: counted once the day is over, and let go when a fact of that day changes.

Exact also between transactions at one time. `changed` writes the mark of a day that may be counted already, so it holds that
row until its facts are committed; `_count` takes the row before it reads. Whoever comes second sees what the first one did.
"""

from functools import partial

from gateway.rules.periods import Period
from gateway.store import lists_reports
from gateway.store.database import Database, Transaction, View
from gateway.store.lists_reports import DAY_MS


def _first_open(now: int) -> int:
    """Yesterday and today (of UTC) are never counted ahead: by then nearly every message has met its end."""
    return now // DAY_MS - 1


def changed(tx: Transaction, organisation_id: str, at: int, now: int) -> None:
    """A fact that counts at the moment `at` is new, or another: its day is looked at row by row until it is counted again."""
    day = at // DAY_MS
    if day > _first_open(now) and not lists_reports.counted(tx, organisation_id, day, day + 1):
        return  # nobody counts today, unless the clock was set back
    _mark(tx, organisation_id, day, 0)


def count(database: Database, now: int, most: int | None = None) -> int:
    """Add up days that are over and not counted, each in a transaction of its own, `most` of them; how many are left."""
    with database.read() as view:
        organisations = [row["id"] for row in view.all("SELECT id FROM organisation WHERE parent_id IS NULL ORDER BY id")]
        missing = [(each, day) for each in organisations for day in _missing(view, each, _first_open(now))]
    for organisation_id, day in missing[:most]:
        database.transact(partial(_count, organisation_id, day))
    return len(missing[most:]) if most is not None else 0


def _missing(view: View, organisation_id: str, end: int) -> list[int]:
    first = lists_reports.first_day(view, organisation_id)
    if first is None:
        return []
    counted = set(lists_reports.counted(view, organisation_id, first, end))
    return [day for day in range(first, end) if day not in counted]


def _count(organisation_id: str, day: int, tx: Transaction) -> None:
    _mark(tx, organisation_id, day, 1)
    tx.execute("DELETE FROM usage_day WHERE organisation_id = ? AND day = ?", organisation_id, day)
    of_day = Period(day * DAY_MS, (day + 1) * DAY_MS)
    for (user_id, country), counts in lists_reports.usage_of_rows(tx, organisation_id, of_day, ("user_id", "country")).items():
        tx.insert("usage_day", organisation_id=organisation_id, day=day, user_id=user_id or "", country=country, **counts)


def _mark(tx: Transaction, organisation_id: str, day: int, counted: int) -> None:
    tx.execute(
        "INSERT INTO usage_counted (organisation_id, day, counted) VALUES (?, ?, ?)"
        " ON CONFLICT (organisation_id, day) DO UPDATE SET counted = excluded.counted",
        organisation_id,
        day,
        counted,
    )
