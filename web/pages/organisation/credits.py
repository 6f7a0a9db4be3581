"""The Credits tab: balance, ledger and chart, warnings; topping up by the operator, by voucher, or by asking (S15–S17)."""

from functools import partial
from http import HTTPStatus
from typing import Any, Final

from flask import Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import StringField, TextAreaField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length, NumberRange, Optional, Regexp  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import credits as money
from gateway.flows import ledger_csv, rates, thresholds, vouchers
from gateway.flows.asking import whom_to_ask
from gateway.rules.credits import ARMED
from gateway.rules.periods import today
from gateway.rules.permissions import CREDITS_GRANT, CREDITS_VIEW, MESSAGES_VIEW, SETTINGS_EDIT
from gateway.store import lists_credits
from gateway.store.database import Transaction
from web import sessions
from web.pages import charts, door, refusals, words
from web.pages.asker import who
from web.pages.forms import PageForm, WholeField
from web.pages.language import N_, _, ngettext
from web.pages.organisation.desk import blueprint, enter, is_month
from web.pages.territories import country_name

PERIODS: Final = {"30": N_("30 days"), "90": N_("90 days")}
WORDS: Final = {
    "duplicate_reference": N_("A top-up with this reference is booked or waits already: an order counts once."),
    "invalid_reference": N_("Enter a reference of at most 200 characters, for instance an order number."),
    "invalid_amount": N_("Enter a whole number from 1 to 1,000,000,000."),
    "no_voucher_key": N_("This box trusts no voucher key yet; whoever runs it sets one with “ringpost credit voucher-trust”."),
    "voucher_invalid": N_("This is no voucher, or not one of our vendor's. Copy the whole text, from RPV1 to its end."),
    "voucher_for_other": N_("This voucher was made for another organisation."),
    "voucher_expired": N_("This voucher has expired. Ask for a new one."),
    "voucher_redeemed": N_("This voucher has been redeemed already; it is in the ledger below."),
    "invalid_threshold": N_("Enter up to four whole percents from 1 to 95, for instance 50, 20, 5."),
    "second_approver_required": N_("Whoever asked for a top-up cannot approve it as well: somebody else must."),
    "grant_decided": N_("Somebody has decided this already."),
}


class AmountForm(PageForm):
    """Credits to add, and what for."""

    amount = WholeField(
        N_("Credits"),
        [
            InputRequired(N_("Enter a whole number.")),
            NumberRange(1, 1_000_000_000, N_("Enter a whole number from 1 to 1,000,000,000.")),
        ],
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
    reference = StringField(
        N_("Reference"),
        [InputRequired(N_("Enter a reference, for instance an order number.")), Length(max=200)],
        description=N_("For instance the order number. Each counts once."),
        render_kw={"autocomplete": "off"},
    )
    reason = StringField(N_("Reason"), [Optional(), Length(max=1000)], description=N_("A line for the audit; may stay empty."))


class VoucherForm(PageForm):
    """A voucher as text."""

    voucher = TextAreaField(
        N_("Voucher"),
        [InputRequired(N_("Paste the voucher.")), Length(max=2000)],
        description=N_("The text that your vendor sent; it begins with RPV1."),
        render_kw={"rows": 3, "autocomplete": "off", "spellcheck": "false"},
    )


class WarningsForm(PageForm):
    """At which percents to warn."""

    thresholds = StringField(
        N_("Warn when this much is left"),
        [Optional(), Regexp(r"^\s*\d{1,2}\s*%?(\s*[,;\s]\s*\d{1,2}\s*%?)*\s*$", message=WORDS["invalid_threshold"])],
        description=N_("Percents of the balance after the last top-up, for instance 50, 20, 5. Nothing left is always told."),
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )

    @property
    def percents(self) -> list[int]:
        """The numbers in what was typed."""
        text = (self.thresholds.data or "").replace("%", " ").replace(",", " ").replace(";", " ")
        return [int(word) for word in text.split()]


@blueprint.get("/credits", defaults={"unit_id": None})
@blueprint.get("/<unit_id>/credits")
@door.signed_in
def credits(unit_id: str | None) -> ResponseReturnValue:
    """Balance, ledger and chart; a unit's page leads on to the organisation's. Who may not see them is told whom to ask."""
    viewer = door.viewer()
    if not viewer.may(CREDITS_VIEW):
        return _ask_a_colleague()
    return _page(unit_id)


@blueprint.get("/credits/ledger.csv")
@door.needs(CREDITS_VIEW)
def ledger() -> ResponseReturnValue:
    """The ledger of a month as a file."""
    services, month = sessions.services(), request.args.get("month") or _this_month()
    if not is_month(month):
        abort(HTTPStatus.BAD_REQUEST)
    with services.database.read() as view:
        who(view).require(view, CREDITS_VIEW)
    pieces = ledger_csv.pieces(services.database.read, door.viewer().organisation_id, month)
    named = {"Content-Disposition": f'attachment; filename="ledger-{month}.csv"'}
    return Response(pieces, headers=named, content_type="text/csv; charset=utf-8")


@blueprint.post("/credits/grant")
@door.needs(CREDITS_GRANT)
def grant() -> ResponseReturnValue:
    """Add credits, once per reference; where two must agree, it waits for the second."""
    return _ask(AmountForm(), CREDITS_GRANT, money.ask_for_grant)


@blueprint.post("/credits/ask")
@door.needs(CREDITS_VIEW)
def ask() -> ResponseReturnValue:
    """Ask the operator for credits: what is asked for waits for their yes."""
    return _ask(AmountForm(), CREDITS_VIEW, money.ask_for_credits)


def _ask(form: AmountForm, permission: str, flow: Any) -> ResponseReturnValue:
    if not form.validate():
        return _page(None, amount=form), HTTPStatus.UNPROCESSABLE_ENTITY
    services = sessions.services()
    viewer, now = door.viewer(), services.clock.now_ms()

    def step(tx: Transaction) -> str | None:
        who(tx).require(tx, permission)
        wanted = (form.amount.data, form.reference.data, form.reason.data or "")
        made: str | None = flow(tx, viewer.organisation_id, *wanted, viewer.actor, now)
        return made

    try:
        waits = services.database.transact(step)
    except Refused as refused:
        return _again(refused, form, amount=form)
    if waits is None:
        door.notice(ngettext("One credit was added.", "%(count)s credits were added.", form.amount.data))
    elif permission == CREDITS_GRANT:
        door.notice(N_("It waits for a second person to approve it."), "warning")
    else:
        door.notice(N_("The operator sees your wish now. The credits arrive when they approve it."))
    return _back()


@blueprint.post("/credits/voucher")
@door.needs(CREDITS_VIEW)
def redeem() -> ResponseReturnValue:
    """Redeem a signed voucher, once."""
    form, services = VoucherForm(), sessions.services()
    if not form.validate():
        return _page(None, voucher=form), HTTPStatus.UNPROCESSABLE_ENTITY
    viewer, now = door.viewer(), services.clock.now_ms()

    def step(tx: Transaction) -> int:
        who(tx).require(tx, CREDITS_VIEW)
        return vouchers.redeem(tx, viewer.organisation_id, form.voucher.data, viewer.actor, now)[0].amount

    try:
        amount = services.database.transact(step)
    except Refused as refused:
        return _again(refused, form, voucher=form)
    door.notice(ngettext("The voucher brought one credit.", "The voucher brought %(count)s credits.", amount))
    return _back()


@blueprint.post("/credits/warnings")
@door.needs(SETTINGS_EDIT)
def warn() -> ResponseReturnValue:
    """Change at which percents `credits.low` is told."""
    form, services = WarningsForm(), sessions.services()
    if not form.validate():
        return _page(None, warnings=form), HTTPStatus.UNPROCESSABLE_ENTITY
    viewer, now = door.viewer(), services.clock.now_ms()

    def step(tx: Transaction) -> None:
        who(tx).require(tx, SETTINGS_EDIT)
        thresholds.put(tx, viewer.organisation_id, form.percents, viewer.actor, now)

    try:
        services.database.transact(step)
    except Refused as refused:
        return _again(refused, form, warnings=form)
    door.notice(N_("The warnings were saved."))
    return _back()


@blueprint.post("/credits/policy")
@door.needs(CREDITS_GRANT)
def policy() -> ResponseReturnValue:
    """Ask for a second approver of every top-up, or no longer."""
    services = sessions.services()
    viewer, now = door.viewer(), services.clock.now_ms()
    wanted = request.form.get("two_approvers") == "yes"

    def step(tx: Transaction) -> None:
        who(tx).require(tx, CREDITS_GRANT)
        money.set_two_approvers(tx, viewer.organisation_id, wanted, viewer.actor, now)

    services.database.transact(step)
    door.notice(
        N_("From now on a second person approves each top-up.") if wanted else N_("One person is enough for a top-up now.")
    )
    return _back()


@blueprint.post("/credits/requests/<request_id>")
@door.needs(CREDITS_GRANT, CREDITS_VIEW)
def decide(request_id: str) -> ResponseReturnValue:
    """Approve or refuse what waits; who asked may take it back."""
    services, choice = sessions.services(), request.form.get("choice")
    viewer, now = door.viewer(), services.clock.now_ms()
    if choice not in ("approve", "refuse"):
        abort(HTTPStatus.BAD_REQUEST)

    def step(tx: Transaction) -> str:
        by = who(tx)
        found = money.grant_request(tx, viewer.organisation_id, request_id)
        if choice == "approve" or found["asked_by"] != viewer.actor:
            by.require(tx, CREDITS_GRANT)
        return str(money.decide(tx, viewer.organisation_id, request_id, choice == "approve", viewer.actor, now)["state"])

    try:
        state = services.database.transact(step)
    except Refused as refused:
        if refused.code not in WORDS:
            raise
        return _page(None, problem=_(WORDS[refused.code])), refused.status
    told = {
        "granted": (N_("Approved: the credits are in the balance."), "success"),
        "refused": (N_("The request was turned down; nothing was added."), "success"),
        "waiting": (N_("You have taken this on. As two must agree here, it now waits for another operator."), "warning"),
    }
    door.notice(*told[state])
    return _back()


def _back() -> ResponseReturnValue:
    return redirect(url_for("organisation.credits"), HTTPStatus.SEE_OTHER)


def _again(refused: Refused, form: PageForm, **forms: Any) -> ResponseReturnValue:
    if refused.code not in WORDS:
        raise refused
    refusals.put(form, refused, WORDS, {})
    return _page(None, **forms), refused.status


def _this_month() -> str:
    return f"{today(sessions.services().clock.now_ms(), door.viewer().zone):%Y-%m}"


def _ask_a_colleague() -> ResponseReturnValue:
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        colleagues, _words = whom_to_ask(view, viewer.organisation_id, CREDITS_VIEW)
    return render_template("organisation/ask.html", colleagues=colleagues), HTTPStatus.FORBIDDEN


def _page(unit_id: str | None, problem: str | None = None, **forms: PageForm) -> str:
    before, days, only = request.args.get("before", ""), request.args.get("days", "30"), request.args.get("only", "")
    if (
        (before and not (before.isascii() and before.isdigit() and len(before) <= 18))
        or days not in PERIODS
        or only not in ("", "grants")
    ):
        abort(HTTPStatus.BAD_REQUEST)
    viewer, services = door.viewer(), sessions.services()
    with services.database.read() as view:
        room = enter(view, unit_id or viewer.organisation_id, CREDITS_VIEW)
    if not room.is_top:
        return render_template("organisation/credits_unit.html", **room.shown("credits"), top=viewer.organisation_id)
    with services.database.read() as view:
        found = lists_credits.credits(
            view,
            viewer.organisation_id,
            now=services.clock.now_ms(),
            zone=words.zone_of(viewer.zone),
            before=int(before) if before else None,
            days=int(days),
            grants_only=only == "grants",
        )
        warnings = thresholds.of(view, viewer.organisation_id)
        may_grant = room.may(CREDITS_GRANT)
        typed = ", ".join(str(percent) for percent in warnings if percent)
        draw = partial(
            render_template,
            "organisation/credits.html",
            **room.shown("credits"),
            problem=problem,
            credits=found,
            chart=charts.line([day.balance for day in found.days]),
            before=before,
            days=days,
            periods={key: (_(word), url_for("organisation.credits", days=key)) for key, word in PERIODS.items()},
            country_name=country_name,
            only=only,
            warnings=[(percent, found.told != ARMED and percent >= found.told) for percent in warnings],
            waiting=lists_credits.waiting(view, viewer.organisation_id),
            decided=lists_credits.decided(view, viewer.organisation_id),
            two_approvers=money.needs_two(view, viewer.organisation_id),
            operators=whom_to_ask(view, viewer.organisation_id, CREDITS_GRANT)[0],
            rates=rates.rates(view),
            month=_this_month(),
            may_grant=may_grant,
            may_warn=room.may(SETTINGS_EDIT),
            may_read_messages=viewer.may(MESSAGES_VIEW),
            amount=forms.get("amount") or AmountForm(formdata=None),
            voucher=forms.get("voucher") or VoucherForm(formdata=None),
            warn=forms.get("warnings") or WarningsForm(formdata=None, data={"thresholds": typed}),
            opened=set(forms),
        )
    return draw()
