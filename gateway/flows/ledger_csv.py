"""The ledger of a month as a spreadsheet, in pieces small enough for a small box."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from gateway.clock import rfc3339
from gateway.rules import spreadsheets
from gateway.store import lists_credits
from gateway.store.database import View

COLUMNS = ("at", "what", "credits", "charged", "parts", "reference", "unit", "country", "by", "message_id", "month")
PIECE = 1_000


def pieces(read: Callable[[], AbstractContextManager[View]], organisation_id: str, month: str) -> Iterator[str]:
    """The text, piece by piece, oldest entry first; every piece is read by itself, so that no reader holds the store long."""
    after = 0
    header = True
    while True:
        with read() as view:
            rows = lists_credits.entries(view, organisation_id, month, after, PIECE)
        lines = [{**row, "at": rfc3339(row["at"])} for row in rows]
        text = spreadsheets.csv_text(COLUMNS, lines)
        yield spreadsheets.BOM + text if header else text.split("\r\n", 1)[1]
        if len(rows) < PIECE:
            return
        after, header = rows[-1]["id"], False
