"""What one part costs in a country: the price of its row, fixed for each message when it is accepted."""

from gateway.errors import Refused
from gateway.store.database import Row, Transaction, View

MOST = 10_000


def rates(view: View) -> list[Row]:
    """Country, channel and price of everything that was ever set up."""
    return view.all("SELECT iso, channel, price FROM country ORDER BY iso, channel")


def set_rate(tx: Transaction, organisation_id: str, iso: str, channel: str, price: int, actor: str, now: int) -> None:
    """Set the price per part for what is accepted from now on. Raises Refused `country_not_found`, `invalid_amount`."""
    if isinstance(price, bool) or not isinstance(price, int) or not 0 <= price <= MOST:
        raise Refused("invalid_amount", 422, f"A rate is a whole number of credits from 0 to {MOST}.", field="price")
    row = tx.one("SELECT price FROM country WHERE iso = ? AND channel = ?", iso.upper(), channel)
    if row is None:
        raise Refused("country_not_found", 404, "This country is not set up for this channel.", field="iso")
    if row["price"] != price:
        tx.execute("UPDATE country SET price = ?, updated_at = ? WHERE iso = ? AND channel = ?", price, now, iso.upper(), channel)
        told = {"setting": "rate", "country": iso.upper(), "channel": channel, "before": row["price"], "after": price}
        tx.audit(now, actor, "config.change", organisation_id, told)
