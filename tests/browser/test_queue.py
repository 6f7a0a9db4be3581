"""The queue in a browser: it keeps itself fresh and ticks survive that; cancelling several, deciding unclear ones, a real box."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import Desk, Office
from tests.browser.furnished.queue import BATCH, queue_id
from tests.processes import until
from tests.web.pages_fixtures import message_id

Furnish = Callable[..., None]


def states(office: Office, *numbers: int) -> list[str]:
    with office.store.read() as view:
        return [view.value("SELECT state FROM message WHERE id = ?", queue_id(number)) for number in numbers]


def test_ticks_survive_a_refresh_and_several_are_cancelled(office: Office, furnish: Furnish) -> None:
    furnish("queue")
    with office.window("recruiter", width=390) as w:
        w.page.clock.install()
        w.open("/admin/queue")
        for number in (1, 2):
            w.page.locator(f"input[value={queue_id(number)}]").check()
        assert w.page.get_by_role("button", name="Cancel what is ticked … (2)").is_visible()
        with office.store.write() as tx:
            tx.execute("UPDATE message SET state = 'sending' WHERE id = ?", queue_id(2))
        with w.page.expect_response("**/admin/queue/live**") as answer:
            w.page.clock.run_for(3000)
        assert answer.value.status == 200
        w.page.locator(f"input[value={queue_id(2)}]").wait_for(state="detached")
        assert w.page.locator(f"input[value={queue_id(1)}]").is_checked()
        w.page.locator(f"input[value={queue_id(3)}]").check()
        w.check("queue-ticked-390")
        w.page.get_by_role("button", name="Cancel what is ticked … (2)").click()
        assert w.page.get_by_text("cannot be undone").is_visible()
        with office.store.write() as tx:  # meanwhile
            tx.execute("UPDATE message SET state = 'sent' WHERE id = ?", queue_id(3))
        w.page.get_by_role("button", name="Yes, cancel all 2").click()
        assert w.page.get_by_text("One message was cancelled.").is_visible()
        assert w.page.get_by_text("One had already left.").is_visible()
    assert states(office, 1, 2, 3) == ["cancelled", "sending", "sent"]


def test_a_queue_can_be_worked_without_scripts(office: Office, furnish: Furnish) -> None:
    furnish("queue")
    with office.window("recruiter", width=390, scripts=False) as w:
        w.open("/admin/queue")
        w.page.locator(f"input[value={queue_id(1)}]").check()
        w.page.get_by_role("button", name="Cancel what is ticked …").click()
        w.page.get_by_role("button", name="Yes, cancel it").click()
        w.page.get_by_role("link", name="Unclear").click()
        w.page.locator(f"button[formaction*={queue_id(30)}]", has_text="Treat as sent").click()
        assert "now counts as sent" in w.page.locator(".alert").inner_text()
        w.page.locator(f"button[formaction*={queue_id(31)}]", has_text="Send again").click()
        assert "in the queue again" in w.page.locator(".alert").inner_text()
    assert states(office, 1, 30, 31) == ["cancelled", "sent", "queued"]


def test_a_batch_moves_on_by_itself(office: Office, furnish: Furnish) -> None:
    furnish("queue")
    with office.window("recruiter") as w:
        w.page.clock.install()
        w.open(f"/admin/queue/batches/{BATCH}")
        assert w.page.get_by_text("19 / 70").is_visible()
        with office.store.write() as tx:
            tx.execute("UPDATE message SET state = 'delivered' WHERE id = ?", queue_id(60))
        with w.page.expect_response("**/live"):
            w.page.clock.run_for(3000)
        w.page.get_by_text("20 / 70").wait_for()
        w.page.get_by_text("Cancel the rest", exact=True).click()
        w.page.get_by_role("button", name="Yes, cancel the rest").click()
        assert w.page.get_by_text("49 messages were cancelled.").is_visible()


def test_the_queue_tells_nothing_of_others(office: Office, furnish: Furnish) -> None:
    furnish("queue")
    with office.window("viewer") as w:
        w.open("/admin/queue?show=held")
        assert w.page.get_by_text("Nothing is held back").is_visible()
        assert queue_id(1) not in w.page.content()
        assert message_id(1) not in w.page.content()


@pytest.mark.page("S44")
def test_what_waits_for_start_says_so_until_it_has_left(desk: Desk) -> None:
    box = desk.box
    ben = box.ats.candidate("+447700900322", region="GB", language="en", introduced=False)
    address = desk.person("quentin", "recruiter", seat=True)
    assert box.ats.http.put("/api/v1/cases/job-7", json={"team": [address, "eva@acme.example"]}).status_code == 200
    sent = box.ats.accepted(ben, "Are you still interested?")
    assert sent["state"] == "held"
    with desk.window(address) as w:
        w.open("/admin/queue?show=held")
        line = w.page.locator("li", has_text="Are you still interested?")
        assert line.get_by_text("The candidate must reply START first.").is_visible()
        until(lambda: box.on_air(ben.phone), about="the invitation is on the air")
        box.stick.control.deliver(ben.phone, "START")
        line.wait_for(state="detached")  # by itself
        box.ats.until_state(sent["id"], "delivered")
