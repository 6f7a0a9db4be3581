"""Rows that the spine keeps."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.ats import Box

Unchanged = Callable[[], AbstractContextManager[None]]


@pytest.mark.requirement("S1")
def test_a_message_to_a_chosen_candidate_of_a_case_is_sent(box: Box) -> None:
    kim = box.someone()
    sent = box.ats.accepted(kim, "Hej Kim!")
    assert {"id", "state", "encoding", "parts", "credits", "sender", "country"} <= set(sent)
    box.ats.until_state(sent["id"], "delivered")
    assert [part.text for part in box.on_air(kim.phone)] == ["Hej Kim!"]


@pytest.mark.requirement("S1")
def test_an_unknown_case_and_an_empty_text_are_refused(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    with unchanged():
        answer = box.ats.submit(kim, "Hej", case_ref="job-none")
        assert (answer.status_code, answer.json()["code"]) == (404, "case_not_found")
        assert box.ats.submit(kim, "").status_code == 422
