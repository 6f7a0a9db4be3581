"""What others could send through a recruiter's browser, or into the box: refused, or rendered harmless."""

from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.browser.conftest import Office
from tests.web.pages_fixtures import message_id

CANCEL = f"/admin/messages/{message_id(2)}/cancel"


def state_of(office: Office) -> Any:
    with office.store.read() as view:
        return view.value("SELECT state FROM message WHERE id = ?", message_id(2))


def test_a_form_without_its_token_is_refused_and_says_so(office: Office) -> None:
    with office.window("recruiter") as w:
        w.open(f"/admin/messages/{message_id(2)}")
        w.page.evaluate("document.querySelectorAll('[name=csrf_token]').forEach((field) => field.remove())")
        w.page.get_by_text("Cancel this message").click()
        with w.page.expect_response("**" + CANCEL) as answer:
            w.page.get_by_role("button", name="Yes, cancel it").click()
        assert answer.value.status == 400
        assert w.page.get_by_role("heading", name="This form is too old").is_visible()
        w.expected("400")
    assert state_of(office) == "queued"


def test_a_token_of_somebody_else_s_browser_opens_nothing(office: Office) -> None:
    with office.window("viewer") as other:
        other.open("/admin/account")
        stolen = other.page.locator("[name=csrf_token]").first.input_value()
    with office.window("recruiter") as w:
        w.open(f"/admin/messages/{message_id(2)}")
        w.page.evaluate("(token) => document.querySelectorAll('[name=csrf_token]').forEach((f) => { f.value = token; })", stolen)
        w.page.get_by_text("Cancel this message").click()
        with w.page.expect_response("**" + CANCEL) as answer:
            w.page.get_by_role("button", name="Yes, cancel it").click()
        assert answer.value.status == 400
        w.expected("400")
    assert state_of(office) == "queued"


@pytest.mark.parametrize("how", ["form", "fetch"])
def test_a_post_from_another_site_changes_nothing(office: Office, httpserver: HTTPServer, how: str) -> None:
    target = office.url + CANCEL
    httpserver.expect_request("/evil").respond_with_data(
        f'<!doctype html><title>x</title><form id="f" method="post" action="{target}"><button>Win a prize</button></form>',
        content_type="text/html",
    )
    httpserver.expect_request("/favicon.ico").respond_with_data("", content_type="image/x-icon")
    with office.window("recruiter") as w:
        w.may_say("403")
        w.page.goto(httpserver.url_for("/evil"))
        if how == "form":
            with w.page.expect_response("**" + CANCEL) as answer:
                w.page.get_by_role("button", name="Win a prize").click()
            assert answer.value.status in (303, 403)  # the cookie does not even travel: to the login, or refused
        else:
            w.page.evaluate("(to) => fetch(to, {method: 'POST', mode: 'no-cors', credentials: 'include'}).catch(() => 0)", target)
        w.page.wait_for_load_state()
    assert state_of(office) == "queued"


def test_a_script_in_a_candidate_s_name_stays_text_wherever_the_name_stands(office: Office) -> None:
    with office.window("admin") as w:
        for path in ("/admin/messages", f"/admin/messages/{message_id(5)}"):
            w.open(path)
            assert "<script>alert(1)</script>" in w.page.locator("main").inner_text()
            assert w.page.locator("main script").count() == 0
            w.quiet(path)
