"""CSV as spreadsheets write and read it: a byte order mark, `;` or `,`, and cells that no spreadsheet may run.

Pure. A cell that begins with = + - @ TAB or CR would be a formula when the file is opened: it gets an apostrophe in front, and
loses it again when it comes back, so that a file that was downloaded can be uploaded unchanged.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway.errors import Refused

BOM = "\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + cell if cell.lstrip("'").startswith(FORMULA) else cell


def unsafe(cell: str) -> str:
    """What `safe` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def harmless(value: object) -> object:
    """A value as a cell: text that would be run is quoted, numbers stay numbers, nothing is an empty cell."""
    if value is None:
        return ""
    return safe(value) if isinstance(value, str) else value


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows by column name as RFC 4180 with a header line."""
    return _file(columns, ([row[column] for column in columns] for row in rows))


def write(header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    """The same for a spreadsheet that edits it: with a byte order mark, so that it reads UTF-8."""
    return BOM + _file(header, rows, delimiter)


def _file(header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([harmless(value) for value in row] for row in rows)
    return out.getvalue()


def read(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not empty; the delimiter is the one of the first line.

    Raises Refused `malformed_csv`.
    """
    text = text.removeprefix(BOM)
    first = text.split("\n", 1)[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [unsafe(cell) for cell in cells]
    except csv.Error as error:
        raise Refused(
            "malformed_csv",
            422,
            f"Line {reader.line_num} is no CSV: {error}.",
            field="body",
            facts={"line": reader.line_num},
        ) from error
