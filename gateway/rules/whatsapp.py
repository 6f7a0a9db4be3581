"""The WhatsApp window (S43, requirements §4): free text only within 24 hours of the candidate's own message. Pure."""

from gateway.errors import Refused

WINDOW_MS = 24 * 3_600_000


def closes_at(last_inbound_at: int | None) -> int | None:
    """Until when (ms, exclusive) a free text may be sent; None where the candidate never wrote."""
    return None if last_inbound_at is None else last_inbound_at + WINDOW_MS


def is_open(last_inbound_at: int | None, now: int) -> bool:
    """Whether a free text may leave now."""
    end = closes_at(last_inbound_at)
    return end is not None and now < end


def check(last_inbound_at: int | None, template_status: str | None, now: int) -> None:
    """Raises Refused `whatsapp_window_closed` for a free text (`template_status` None) outside the window.

    A template may leave at any time, if Meta has approved it: else Refused `template_not_approved`.
    """
    if template_status is None:
        if not is_open(last_inbound_at, now):
            text = "The candidate has not written within 24 hours; only an approved template may be sent."
            raise Refused(
                "whatsapp_window_closed", 409, text, field="text", facts={"window_expires_at": closes_at(last_inbound_at)}
            )
    elif template_status != "APPROVED":
        raise Refused(
            "template_not_approved", 409, f"This template is {template_status.lower()}, not approved.", field="template_id"
        )
