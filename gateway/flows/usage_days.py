"""Usage added up by day, ahead of the reports: counted once the day is over, and let go when a fact of that day changes.

Exact also between transactions at one time. `changed` writes the mark of a day that may be counted already, so it holds that
row until its facts are committed; `_count` takes the row before it reads. Whoever comes second sees what the first one did.
The sums say what the rows say, never more: what retention lets go is counted no longer, as in a report of its rows.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from gateway.rules.periods import Period
from gateway.store import lists_credits, lists_reports
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


def all_changed(tx: Transaction, facts: Iterable[tuple[str | None, int]], now: int) -> None:
    """The same for many facts, each of an organisation (or of none) at a moment; each day once, in order."""
    for organisation_id, day in sorted({(organisation_id, at // DAY_MS) for organisation_id, at in facts if organisation_id}):
        changed(tx, organisation_id, day * DAY_MS, now)


def count(database: Database, now: int, most: int | None = None) -> int:
    """Add up the days that are over and not counted, in at most so many transactions; how many are left to do.

    Each transaction counts one day on which there is something, and the empty ones before it.
    """
    with database.read() as view:
        organisations = [row["id"] for row in view.all("SELECT id FROM organisation WHERE parent_id IS NULL ORDER BY id")]
        runs = [(each, *run) for each in organisations for run in _runs(view, each, _first_open(now))]
    for organisation_id, first, end in runs[:most]:
        database.transact(partial(_count, organisation_id, first, end))
    return len(runs) - len(runs[:most])


def _runs(view: View, organisation_id: str, end: int) -> Iterator[tuple[int, int]]:
    """What is to be counted before `end`: first day, and the day after the last, which is the only one with something in it."""
    day = lists_reports.next_day(view, organisation_id, 0)
    if day is None:
        return
    counted = set(lists_reports.counted(view, organisation_id, day, end))
    while day < end:
        if day in counted:
            day += 1
            continue
        found = lists_reports.next_day(view, organisation_id, day)
        last = end - 1 if found is None else min(found, end - 1)
        first, day = day, next((each for each in range(day, last + 1) if each in counted), last + 1)
        yield first, day


def _count(organisation_id: str, first: int, end: int, tx: Transaction) -> None:
    for day in range(first, end):
        _mark(tx, organisation_id, day, 1)
    tx.execute("DELETE FROM usage_day WHERE organisation_id = ? AND day >= ? AND day < ?", organisation_id, first, end)
    found = lists_reports.next_day(tx, organisation_id, first)
    while found is not None and found < end:
        of_day = Period(found * DAY_MS, (found + 1) * DAY_MS)
        for (user_id, country), counts in lists_reports.usage_of_rows(
            tx, organisation_id, of_day, ("user_id", "country")
        ).items():
            tx.insert("usage_day", organisation_id=organisation_id, day=found, user_id=user_id or "", country=country, **counts)
        charged = lists_credits.charged_rows(tx, organisation_id, of_day)
        tx.execute("UPDATE usage_counted SET charged = ? WHERE organisation_id = ? AND day = ?", charged, organisation_id, found)
        found = lists_reports.next_day(tx, organisation_id, found + 1)


def _mark(tx: Transaction, organisation_id: str, day: int, counted: int) -> None:
    tx.execute(
        "INSERT INTO usage_counted (organisation_id, day, counted) VALUES (?, ?, ?)"
        " ON CONFLICT (organisation_id, day) DO UPDATE SET counted = excluded.counted, charged = 0",
        organisation_id,
        day,
        counted,
    )
