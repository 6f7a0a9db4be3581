"""Some weeks of what people did."""

from gateway.store.database import Database
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, message_id

PAGES = {
    "list": ("admin", "/admin/audit"),
    "filtered": ("compliance", "/admin/audit?action=user.&actor=user:usr_admin"),
    "a-subject": ("admin", f"/admin/audit?subject={message_id(5)}"),
    "none-fits": ("admin", "/admin/audit?subject=msg_nothing"),
    "a-day": ("admin", "/admin/audit?day=2026-03-01"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add entries."""
    now, hour = clock.now_ms(), 3_600_000
    told = [
        ("user:usr_admin", "auth.login", "usr_admin", {}),
        ("user:usr_admin", "user.update", "usr_recruiter", {"changed": ["roles"], "roles": ["recruiter"]}),
        ("user:usr_admin", "permission.change", "usr_recruiter", {"roles": [["viewer"], ["recruiter"]]}),
        ("user:usr_recruiter", "message.accept", message_id(5), {"parts": 2, "credits": 2, "kind": "interview_invite"}),
        ("network", "message.state", message_id(5), {"from": "sent", "to": "delivered"}),
        ("gateway", "country.review_due", "country:NO/sms", {"country": "NO"}),
        ("web:anonymous", "auth.fail", "login:0123456789abcdef", {"reason": "unknown"}),
        ("user:usr_compliance", "country.opt_in", "country:SE/sms", {"from": "double", "to": "single"}),
        ("cli:root", "organisation.create", ORG, {"ref": "acme"}),
        ("gateway", "a.new_action", "thing_1", {"nested": {"a": [1, 2, 3]}}),
    ]
    with store.write() as tx:
        for number in range(60):
            actor, action, subject, data = told[number % len(told)]
            tx.audit(now - (60 - number) * hour, actor, action, subject, data)
