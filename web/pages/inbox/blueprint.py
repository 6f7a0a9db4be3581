"""The blueprint of the inbox, and words that only the inbox has."""

from typing import Final

from markupsafe import Markup

from gateway.clock import rfc3339
from web.pages import door, words
from web.pages.language import N_
from web.pages.words import Word

blueprint = door.pages("inbox", __name__, "/admin/inbox")

SHOW: Final = {
    "all": N_("All"),
    "mine": N_("Mine"),
    "unread": N_("Unread"),
    "awaiting": N_("Awaiting reply"),
    "unassigned": N_("Unassigned"),
}
"""The filters, each by its word in the address."""
INTENTS: Final = {
    "yes": Word(N_("Says yes"), "good"),
    "no": Word(N_("Says no"), "bad"),
    "reschedule": Word(N_("Wants another time"), "wait"),
    "running_late": Word(N_("Running late"), "wait"),
    "wrong_person": Word(N_("Wrong person"), "odd"),
    "stop_like": Word(N_("May want no more messages"), "bad"),
}
"""What a reply seems to say: a hint, never a fact."""
STATES: Final = {"inactive": N_("Quiet for two weeks"), "closed": N_("Closed")}


def _clock(at: int) -> Markup:
    """A time of day, with the whole moment on hovering."""
    moment = words.local(at)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        rfc3339(at), moment.strftime("%Y-%m-%d %H:%M:%S %z"), moment.strftime("%H:%M")
    )


blueprint.add_app_template_filter(_clock, "clock")
blueprint.add_app_template_global(lambda code: INTENTS.get(code) or Word(code.replace("_", " "), "quiet"), "intent_word")
blueprint.add_app_template_global(lambda code: STATES.get(code, ""), "thread_state_word")
