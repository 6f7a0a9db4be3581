"""Endpoints that are well, failing and switched off; deliveries on their way, delivered and given up."""

from gateway.store.database import Database
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, message_id

PAGES = {
    "list": ("admin", "/admin/webhooks"),
    "new": ("operator", "/admin/webhooks/new"),
    "well": ("admin", "/admin/webhooks/ep_well"),
    "failing": ("admin", "/admin/webhooks/ep_failing"),
    "failing-dead": ("admin", "/admin/webhooks/ep_failing?state=dead"),
    "failing-replay": ("admin", "/admin/webhooks/ep_failing?replayed=5&began=1"),
    "off": ("admin", "/admin/webhooks/ep_off"),
    "none-dead": ("admin", "/admin/webhooks/ep_well?state=dead"),
    "edit": ("admin", "/admin/webhooks/ep_failing/edit"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add endpoints, events and deliveries."""
    now, hour = clock.now_ms(), 3_600_000
    kinds = ("message.state", "message.received", "consent.changed", "credits.low", "interview.responded")
    with store.write() as tx:
        base = {"organisation_id": ORG, "secret_sealed": "-", "cursor": 2**40, "created_at": now - 90 * 24 * hour}
        tx.insert("endpoint", id="ep_well", url="https://ats.acme.example/ringpost", events='["*"]', **base)
        tx.insert(
            "endpoint",
            id="ep_failing",
            url="https://hooks.acme.example/a-rather-long-path/with-a-token-0123456789abcdef0123456789abcdef",
            events='["message.received","message.state"]',
            failing_since=now - 80 * hour,
            paused_until=now + 600_000,
            **base,
        )
        tx.insert("endpoint", id="ep_off", url="http://192.168.1.20:8080/old", events='["credits.low"]', active=0, **base)
        events = [
            tx.event(now - (20 - number) * hour, ORG, kinds[number % len(kinds)], message_id(1), {"message_id": message_id(1)})
            for number in range(12)
        ]
    with store.write() as tx:
        for endpoint in ("ep_well", "ep_failing"):
            for number, event in enumerate(events):
                at = now - (20 - number) * hour
                well = endpoint == "ep_well"
                state = "delivered" if well else "dead" if number < 5 else "waiting" if number > 8 else "delivered"
                tx.insert(
                    "delivery",
                    id=f"dlv_{endpoint[3:]}{number:02}",
                    endpoint_id=endpoint,
                    event_id=event,
                    position=tx.value("SELECT position FROM event WHERE id = ?", event),
                    stream=f"{endpoint}-{number}",
                    state=state,
                    attempts=1 if well else 0 if number == 11 else 24,
                    next_at=now + 600_000,
                    first_at=at,
                    done_at=None if state == "waiting" else at + 1000,
                    answer=None if number == 11 and not well else "200 OK" if state == "delivered" else "503 Service Unavailable",
                )
