"""The menu: one entry per blueprint in three groups, shown only to who may open it."""

from dataclasses import dataclass

from gateway.flows.sign_in import Viewer
from gateway.rules import permissions
from web.pages import door
from web.pages.language import N_


@dataclass(frozen=True, slots=True)
class Entry:
    """A menu entry: its page, its word, its picture in icons.svg, and the permission it needs."""

    endpoint: str
    word: str
    icon: str
    permission: str
    group: str
    others: tuple[str, ...] = ()
    """Permissions that open it as well."""

    @property
    def blueprint(self) -> str:
        """The blueprint all pages below this entry belong to."""
        return self.endpoint.partition(".")[0]

    def holds(self, blueprint: str | None) -> bool:
        """Whether a page of this blueprint lies below this entry; candidates are met in their cases."""
        return ("cases" if blueprint == "candidates" else blueprint) == self.blueprint


DAILY, OFFICE, BOX = N_("Daily work"), N_("The office"), N_("The box")
OF_ORGANISATION = (permissions.USERS_VIEW, permissions.SETTINGS_EDIT, permissions.REPORTS_VIEW)
"""Each opens a tab of the organisation."""

MENU = (
    Entry("inbox.index", N_("Inbox"), "inbox", permissions.MESSAGES_VIEW, DAILY),
    Entry("cases.index", N_("Cases"), "cases", permissions.MESSAGES_VIEW, DAILY),
    Entry("queue.index", N_("Queue"), "queue", permissions.MESSAGES_VIEW, DAILY),
    Entry("messages.index", N_("Messages"), "messages", permissions.MESSAGES_VIEW, DAILY),
    Entry("templates.index", N_("Templates"), "templates", permissions.TEMPLATES_VIEW, DAILY),
    Entry("organisation.index", N_("Organisation"), "organisation", permissions.CREDITS_VIEW, OFFICE, OF_ORGANISATION),
    Entry("users.index", N_("Users & seats"), "users", permissions.USERS_VIEW, OFFICE, (permissions.SEATS_LICENSE,)),
    Entry("compliance.index", N_("Compliance"), "compliance", permissions.COMPLIANCE_VIEW, OFFICE),
    Entry("reports.index", N_("Reports"), "reports", permissions.REPORTS_VIEW, OFFICE),
    Entry("modems.index", N_("Modems"), "modems", permissions.MODEMS_VIEW, BOX),
    Entry("webhooks.index", N_("Webhooks"), "webhooks", permissions.WEBHOOKS_EDIT, BOX),
    Entry("audit.index", N_("Audit"), "audit", permissions.AUDIT_VIEW, BOX),
    Entry("settings.index", N_("Settings"), "settings", permissions.SETTINGS_EDIT, BOX),
)


def of(viewer: Viewer) -> list[Entry]:
    """What this person may open."""
    return [entry for entry in MENU if any(viewer.may(each) for each in (entry.permission, *entry.others))]


def shown() -> list[Entry]:
    """The menu of whoever is asking."""
    who = door.viewer_or_none()
    return [] if who is None else of(who)
