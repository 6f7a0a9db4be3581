"""How the box is, for people: whether what is accepted now would go out, what waits, whether mail and time are in order."""

from dataclasses import dataclass
from typing import Any

from gateway.flows import clock_trust, restore
from gateway.store import lists_pages, lists_settings, lists_web
from gateway.store.database import View


@dataclass(frozen=True, slots=True)
class BoxState:
    """One look at the box; times in ms."""

    gateway_seen_at: int | None
    gateway_version: str | None
    gateway_is_well: bool
    modems: int
    modems_ready: int
    waiting: dict[str, int]
    webhooks_waiting: int
    clock: dict[str, Any]
    restore: dict[str, Any]
    mail: lists_settings.Mail

    @property
    def is_ready(self) -> bool:
        """Whether a message accepted now would leave."""
        return self.gateway_is_well and self.modems_ready > 0 and self.restore["state"] == "none"


def look(view: View, now: int) -> BoxState:
    """Look at it."""
    gateways = lists_web.gateways(view)
    newest = max(gateways, key=lambda row: row["heartbeat_at"], default=None)
    modems = lists_pages.modems(view)
    ready = [row for row in modems if row.state == "ready" and not row.parked and not row.is_stale(now)]
    return BoxState(
        gateway_seen_at=None if newest is None else newest["heartbeat_at"],
        gateway_version=None if newest is None else newest["version"],
        gateway_is_well=newest is not None and now - newest["heartbeat_at"] <= lists_pages.STALE_MS,
        modems=len(modems),
        modems_ready=len(ready),
        waiting=lists_web.open_messages(view),
        webhooks_waiting=lists_web.waiting_deliveries(view),
        clock=dict(clock_trust.shown(view, now)),
        restore=restore.shown(view),
        mail=lists_settings.mail(view),
    )
