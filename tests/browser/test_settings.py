"""Settings and audit in the browser: a key shown once, a restore confirmed, a chain that holds and one that does not."""

import json

from tests.browser.conftest import Office


def test_a_key_is_made_shown_once_and_revoked(office: Office) -> None:
    with office.window("admin") as w:
        w.open("/admin/settings/keys")
        w.page.get_by_role("link", name="Make a key").click()
        w.page.get_by_label("Name").fill("Our ATS")
        assert w.page.locator("input[value='operator:write']").count() == 0
        w.page.get_by_role("button", name="Make it").click()
        secret = w.page.locator("code.secret").inner_text()
        assert secret.startswith("rp_")
        w.check("a fresh key")
        w.page.reload()
        assert secret not in w.page.content()
        w.page.get_by_text("Revoke", exact=True).click()
        w.page.get_by_role("button", name="Yes, revoke it").click()
        assert "opens nothing any more" in w.page.get_by_role("status").first.inner_text()


def test_a_restored_box_sends_again_once_somebody_has_looked_at_its_queue(office: Office) -> None:
    now = office.clock.now_ms()
    with office.store.write() as tx:
        told = {"backup_at": now, "restored_at": now, "lists_read_at": now}
        tx.insert("setting", name="restore.pending", value=json.dumps(told))
        tx.insert("balance", organisation_id="org_acme", available=0, reserved=4)
    with office.window("admin") as w:
        w.open("/admin/settings")
        assert "restored from a backup" in w.page.locator("main").inner_text()
        w.check("after a restore")
        w.page.get_by_role("button", name="Cancel what waits, then send again").click()
        assert "The box sends again" in w.page.get_by_role("status").first.inner_text()


def test_the_audit_says_in_words_whether_its_chain_holds(office: Office) -> None:
    with office.store.write() as tx:
        for number in range(3):
            tx.audit(office.clock.now_ms(), "user:usr_admin", "user.update", f"usr_{number}")
    with office.window("admin") as w:
        w.open("/admin/audit")
        w.page.get_by_role("button", name="Verify the chain").click()
        assert "The chain is whole: 3 entries" in w.page.get_by_role("status").first.inner_text()
        with office.store.write() as tx:
            tx.execute("UPDATE audit SET actor = 'user:usr_viewer' WHERE position = 2")
        w.check("the chain is whole")
        w.page.get_by_role("link", name="Back to the audit").click()
        w.page.get_by_role("button", name="Verify the chain").click()
        assert "the first broken link is entry 2" in w.page.get_by_role("status").first.inner_text()
