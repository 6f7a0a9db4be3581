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
    with box.site.store.read() as view:
        consents = view.value("SELECT COUNT(*) AS n FROM consent")
        acts = view.value("SELECT COUNT(*) AS n FROM audit WHERE action NOT IN ('message.deny', 'api.deny', 'auth.fail')")
    return {**box.books(), "consents": consents, "acts": acts}
