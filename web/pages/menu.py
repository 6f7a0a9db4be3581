"""The menu: one entry per blueprint, shown only to who may open it."""

from dataclasses import dataclass

from gateway.flows.sign_in import Viewer
from gateway.rules import permissions
from web.pages import door


@dataclass(frozen=True, slots=True)
class Entry:
    """A menu entry: its page, its word, its picture in icons.svg, and the permission it needs."""

    endpoint: str
    word: str
    icon: str
    permission: str

    @property
    def blueprint(self) -> str:
        """The blueprint all pages below this entry belong to."""
        return self.endpoint.partition(".")[0]


MENU = (
    Entry("messages.index", "Messages", "messages", permissions.MESSAGES_VIEW),
    Entry("modems.index", "Modems", "modems", permissions.MODEMS_VIEW),
    Entry("credits.index", "Credits", "credits", permissions.CREDITS_VIEW),
)


def of(viewer: Viewer) -> list[Entry]:
    """What this person may open."""
    return [entry for entry in MENU if viewer.may(entry.permission)]


def shown() -> list[Entry]:
    """The menu of whoever is asking."""
    who = door.viewer_or_none()
    return [] if who is None else of(who)
