"""How the box is: alive, ready, and its figures for Prometheus. No key, and nothing personal."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response

from gateway.store import lists_web
from gateway.store.database import Row, StoreUnavailable, View
from web import guards
from web.answers import answer
from web.api.modems import STALE_MS

system = Blueprint("system", __name__)


@system.get("/healthz")
def alive() -> Response:
    """This process answers."""
    return answer(200, {"status": "ok"})


@system.get("/readyz")
def ready() -> Response:
    """Whether a message accepted now would go out: store, gateway, modem. 503 with the reasons where it would not."""
    services = guards.services()
    try:
        with services.database.read() as view:
            checks = _checks(view, services.clock.now_ms())
    except (StoreUnavailable, OSError, sqlite3.Error) as error:
        checks = {"store": type(error).__name__, "gateway": "unknown", "modem": "unknown"}
    well = all(state == "ok" for state in checks.values())
    return answer(200 if well else 503, {"status": "ready" if well else "not_ready", "checks": checks})


def _checks(view: View, now: int) -> dict[str, str]:
    beats = [row["heartbeat_at"] for row in lists_web.gateways(view)]
    modems = lists_web.modems(view)
    live = [row for row in modems if _is_fresh(row["heartbeat_at"], now)]
    newest = max(beats, default=None)
    gateway = "never seen" if newest is None else "ok" if _is_fresh(newest, now) else f"silent for {(now - newest) // 1000} s"
    if any(row["state"] == "ready" and not row["parked"] for row in live):
        modem = "ok"
    else:
        modem = "none ready" if modems else "none known"
    return {"store": "ok", "gateway": gateway, "modem": modem}


def _is_fresh(beat: int | None, now: int) -> bool:
    return beat is not None and now - beat <= STALE_MS


@system.get("/metrics")
def figures() -> Response:
    """Figures in the Prometheus text format, read from the store; those of a silent gateway carry their age."""
    from prometheus_client import CollectorRegistry, generate_latest  # idle processes do without it

    services = guards.services()
    now = services.clock.now_ms()
    with services.database.read() as view:
        families = list(_families(view, now))

    class Shelf:
        def collect(self) -> Iterator[Any]:
            return iter(families)

    collected = CollectorRegistry(auto_describe=False)
    collected.register(Shelf())
    return Response(generate_latest(collected), content_type="text/plain; version=0.0.4; charset=utf-8")


def _families(view: View, now: int) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    waiting = GaugeMetricFamily("ringpost_messages", "Messages on their way, by state", labels=["state"])
    for state, count in lists_web.open_messages(view).items():
        waiting.add_metric([state], count)
    yield waiting
    yield GaugeMetricFamily("ringpost_webhooks_waiting", "Webhook deliveries waiting", lists_web.waiting_deliveries(view))
    yield GaugeMetricFamily("ringpost_events_position", "Position of the newest sealed event", lists_web.newest_position(view))
    age = GaugeMetricFamily("ringpost_gateway_heartbeat_age_seconds", "Age of a gateway's last sign of life", labels=["gateway"])
    for row in lists_web.gateways(view):
        age.add_metric([row["name"]], max(0, now - row["heartbeat_at"]) / 1000)
    yield age
    yield from _modem_families(lists_web.modems(view), now)


def _modem_families(modems: list[Row], now: int) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    names = ["gateway", "modem"]
    ready_now = GaugeMetricFamily("ringpost_modem_ready", "1 where the modem can send", labels=names)
    signal = GaugeMetricFamily("ringpost_modem_signal_dbm", "Signal strength", labels=names)
    seen = GaugeMetricFamily("ringpost_modem_seen_age_seconds", "Age of the modem's figures", labels=names)
    for row in modems:
        labels = [row["gateway"], row["name"]]
        fresh = _is_fresh(row["heartbeat_at"], now)
        ready_now.add_metric(labels, int(fresh and row["state"] == "ready" and not row["parked"]))
        if row["signal_dbm"] is not None:
            signal.add_metric(labels, row["signal_dbm"])
        if row["seen_at"] is not None:
            seen.add_metric(labels, max(0, now - row["seen_at"]) / 1000)
    yield from (ready_now, signal, seen)
