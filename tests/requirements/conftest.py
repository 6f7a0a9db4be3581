"""The mission, row by row (S1–S58): one box of real processes per module, and a count of what a refusal must leave alone.

Each test carries `@pytest.mark.requirement("S10", …)`; `make requirements` prints one line per row from these marks and the
run's own results.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.ats import Box


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Web, gateway and a simulated modem, set up by `init` and `apply`, on a test clock, ready to send."""
    with Box(tmp_path_factory.mktemp("box"), credits=100_000) as made:
        yield made.serve()


@pytest.fixture
def unchanged(box: Box) -> Callable[[], AbstractContextManager[None]]:
    """`with unchanged():` the block leaves balance, queue, consents and messages alone; only refusals may be audited."""

    @contextmanager
    def watch() -> Iterator[None]:
        before = _standing(box)
        yield
        assert _standing(box) == before

    return watch


def _standing(box: Box) -> dict[str, Any]:
    """What an act could change. What the box does by itself meanwhile (sending, settling, reports) is not the caller's doing."""
    counts = {
        "messages": "SELECT COUNT(*) AS n FROM message",
        "parts": "SELECT COUNT(*) AS n FROM part",
        "entries": "SELECT COUNT(*) AS n FROM ledger WHERE kind IN ('grant', 'reserve')",
        "consents": "SELECT COUNT(*) AS n FROM consent",
        "events": "SELECT COUNT(*) AS n FROM event WHERE type NOT IN ('message.state', 'modem.state')",
        "acts": "SELECT COUNT(*) AS n FROM audit WHERE action NOT IN ('message.deny', 'api.deny', 'auth.fail')"
        " AND actor NOT LIKE 'gateway%' AND actor <> 'network'",
    }
    with box.site.store.read() as view:
        found = {name: view.value(sql) for name, sql in counts.items()}
    return {**found, "available": box.ats.credits()[0]}
