"""Templates of an organisation with units: inherited and own, several languages, versions, right-to-left, emoji, archived."""

from typing import Any

from gateway.store.database import Database, Transaction, compact
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG

SE = "org_tplse"
INVITE = "tpl_invite_en"
PAGES = {
    "list": ("admin", "/admin/templates"),
    "list-of-a-unit": ("recruiter", "/admin/templates?unit=tpl-se"),
    "list-filtered": ("admin", "/admin/templates?channel=sms&kind=interview_invite"),
    "list-none-fits": ("admin", "/admin/templates?q=xylophone"),
    "invitation": ("admin", f"/admin/templates/{INVITE}"),
    "invitation-inherited": ("admin", f"/admin/templates/{INVITE}?unit=tpl-se"),
    "invitation-tried": ("admin", f"/admin/templates/{INVITE}?sample=thr_tpl"),
    "archived": ("admin", "/admin/templates/tpl_old"),
    "arabic": ("admin", "/admin/templates/tpl_arabic"),
    "emoji": ("recruiter", "/admin/templates/tpl_emoji"),
    "version": ("admin", f"/admin/templates/{INVITE}/versions/3"),
    "first-version": ("admin", f"/admin/templates/{INVITE}/versions/1"),
    "editor": ("admin", "/admin/templates/tpl_emoji/edit"),
    "editor-own-fields": ("admin", f"/admin/templates/{INVITE}/edit"),
    "new": ("admin", "/admin/templates/new?unit=tpl-se"),
    "forbidden": ("recruiter", "/admin/templates/new"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add units, templates with versions, and a conversation to try them on."""
    now, hour = clock.now_ms(), 3_600_000
    with store.write() as tx:
        tx.insert(
            "organisation",
            id=SE,
            parent_id=ORG,
            root_id=ORG,
            ref="tpl-se",
            name="Acme Sverige",
            zone="Europe/Stockholm",
            language="sv",
            created_at=now,
        )
        tx.flush()
        invite = (
            "Hello {{candidate.first_name}}, {{user.name}} at {{company}} invites you to an interview for {{case.title}},"
            " {{office.floor}}. Answer here: {{interview_link}}"
        )
        bodies = (
            "Hello {{candidate.first_name}}, please come to an interview. {{interview_link}}",
            invite,
            invite + " Reply STOP to opt out.",
        )
        fields = [{"name": "office.floor", "type": "text", "sample": "3rd floor"}]
        add(tx, INVITE, ORG, "Interview invitation", "interview_invite", "en", bodies, now - 40 * hour, fields=fields)
        swedish = (
            "Hej {{candidate.first_name}}! {{company}} vill träffa dig. Svara här: {{interview_link}} Svara STOPP för att slippa."
        )
        add(tx, "tpl_invite_sv", ORG, "Interview invitation", "interview_invite", "sv", (swedish,), now - 39 * hour)
        own = swedish.replace("vill träffa dig", "i Malmö vill träffa dig på Drottninggatan 3")
        add(tx, "tpl_invite_sv_se", SE, "Interview invitation", "interview_invite", "sv", (own,), now - 5 * hour)
        mail = "Dear {{candidate.first_name}},\n\nthank you for applying. We chose somebody else.\n\n{{company}}"
        add(tx, "tpl_rejection", ORG, "Rejection", "rejection", "en", (mail,), now - 30 * hour, channel="email")
        arabic = "مرحبا {{candidate.first_name}}، شركة {{company}} تدعوك إلى مقابلة. للرفض أرسل STOP"
        add(tx, "tpl_arabic", ORG, "Contact in Arabic", "contact", "ar", (arabic,), now - 20 * hour)
        emoji = "Hej {{candidate.first_name}} 👋 it’s {{company}} – call us back before 16:00 🙂 Reply STOP to opt out."
        add(tx, "tpl_emoji", ORG, "Call me back", "contact", "en", (emoji,), now - 10 * hour)
        add(
            tx,
            "tpl_whatsapp",
            ORG,
            "Interview invitation",
            "interview_invite",
            "en",
            (invite,),
            now,
            channel="whatsapp",
            fields=fields,
        )
        add(
            tx,
            "tpl_old",
            ORG,
            "Summer jobs",
            "job_alert",
            "sv",
            ("Sommarjobb hos {{company}}! STOPP avslutar.",),
            now - 900 * hour,
        )
        tx.execute("UPDATE template SET archived_at = ? WHERE id = 'tpl_old'", now - 100 * hour)
        tx.insert(
            "candidate",
            id="cand_tpl",
            organisation_id=ORG,
            ref="tpl-17",
            first_name="Anna-Maria",
            last_name="Öberg-Lindström",
            phone="+46701740611",
            phone_state="ok",
            country="SE",
            created_at=now,
            updated_at=now,
        )
        tx.flush()
        tx.insert(
            "thread",
            id="thr_tpl",
            organisation_id=ORG,
            candidate_id="cand_tpl",
            channel="sms",
            context="case:case_1",
            case_id="case_1",
            state="active",
            last_at=now - hour,
            created_at=now - hour,
        )


def add(
    tx: Transaction,
    template_id: str,
    unit: str,
    name: str,
    kind: str,
    language: str,
    bodies: tuple[str, ...],
    at: int,
    *,
    channel: str = "sms",
    fields: list[dict[str, Any]] | None = None,
) -> None:
    """A template with a version per body; all but the last were sent."""
    declared = compact(fields or [])
    tx.insert(
        "template",
        id=template_id,
        unit_id=unit,
        name=name,
        kind=kind,
        channel=channel,
        language=language,
        body=bodies[-1],
        fields=declared,
        max_parts=4,
        version=len(bodies),
        updated_at=at + len(bodies) * 60_000,
    )
    tx.flush()
    for number, body in enumerate(bodies, 1):
        tx.insert(
            "template_version",
            template_id=template_id,
            version=number,
            kind=kind,
            body=body,
            fields=declared,
            max_parts=4,
            actor="user:usr_admin",
            created_at=at + number * 60_000,
            used_at=at + number * 90_000 if number < len(bodies) else None,
        )
