"""`make requirements`: run the requirement tests and those of the pages, and print one line per row of the mission.

Each row: its number, how it stands, what it asks, the tests that prove it, and those that prove it on a page in a browser. All of
it comes from the run itself.
"""

import sys
from collections import defaultdict
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from tests.requirements.rows import NOT_YET, ON_PAGES, ROWS

HERE = Path(__file__).parent
BROWSER = HERE.parent / "browser"


class Tally:
    """A pytest plugin that notes which rows each test speaks for, and how it ended."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = defaultdict(list)
        self.pages: dict[str, list[str]] = defaultdict(list)
        self.outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for name, rows in (("requirement", self.rows), ("page", self.pages)):
                for row in (row for mark in item.iter_markers(name) for row in mark.args):
                    if row not in ROWS:
                        raise pytest.UsageError(f"{item.nodeid}: there is no row {row}")
                    if item.nodeid not in rows[row]:
                        rows[row].append(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worse = {"passed": 0, "skipped": 1, "failed": 2}
        before = self.outcomes.get(report.nodeid, "passed")
        self.outcomes[report.nodeid] = max(before, report.outcome, key=worse.__getitem__)

    def verdict(self, row: str) -> str:
        """pass, fail or not yet."""
        outcomes = [self.outcomes.get(test, "skipped") for test in self.rows[row] + self.pages[row]]
        if not self.rows[row] or (row in ON_PAGES and not self.pages[row]):
            return "not yet"
        if any(outcome != "passed" for outcome in outcomes):
            return "fail"
        return "pass"


def main() -> int:
    """Run, print, and end with 1 when a row fails or is missing that should not be."""
    tally = Tally()
    marked = ["-m", "requirement or page", str(HERE), str(BROWSER)]
    common = ["-q", "--no-header", "-p", "no:cacheprovider", *marked, *sys.argv[1:]]
    with redirect_stdout(StringIO()):  # two processes will run the tests; which test speaks for which row is asked here
        pytest.main([*common, "--collect-only"], plugins=[tally])
    pytest.main([*common, "-n", "2", "--dist", "loadfile"], plugins=[tally])
    print()
    missing = []
    for row, behaviour in ROWS.items():
        verdict = tally.verdict(row)
        note = " (transport later)" if row in NOT_YET else ""
        page = f" | page: {_names(tally.pages[row])}" if row in ON_PAGES or tally.pages[row] else ""
        print(f"{row:<4} {verdict:<8} {behaviour}{note}: {_names(tally.rows[row])}{page}")
        if verdict == "fail" or (verdict == "not yet" and row not in NOT_YET):
            missing.append(row)
    print(f"\n{len(ROWS) - len(missing)} of {len(ROWS)} rows hold." + (f" Missing: {', '.join(missing)}" if missing else ""))
    return 1 if missing else 0


def _names(tests: list[str]) -> str:
    names = [test.split("::", 1)[1] for test in tests]
    return (", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")) or "-"


if __name__ == "__main__":
    sys.exit(main())
