"""The forms of compliance."""

from typing import Any

from wtforms import (  # type: ignore[import-untyped]
    DateField,
    FloatField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError  # type: ignore[import-untyped]

from gateway.flows.compliance import KEYWORD_KINDS, NUMBERS
from web.pages.compliance import words
from web.pages.forms import PageForm
from web.pages.language import N_, _

LINE = Length(max=200, message=N_("At most 200 characters."))


def no_nul(_form: Any, field: Any) -> None:
    """No NUL: no database keeps one."""
    if "\x00" in (field.data or ""):
        raise ValidationError(N_("The text holds a character that no text may have."))


class CodeForm(PageForm):
    """A country by its code."""

    iso = StringField(
        N_("Country code"),
        [InputRequired(N_("Write a code of two letters."))],
        render_kw={"maxlength": 2, "autocapitalize": "characters", "size": 4, "spellcheck": "false", "placeholder": "SE"},
    )


class OptInForm(PageForm):
    """How a country opts in, with what going without START asks of whoever decides it (S40, S42)."""

    opt_in = RadioField(N_("New conversations begin with"), default="double")
    acknowledgement = TextAreaField(
        N_("Your acknowledgement"),
        [Length(max=2_000, message=N_("At most 2000 characters.")), no_nul],
        description=N_("In your own words: that you have taken advice and why START is not needed in this country."),
        render_kw={"rows": 3},
    )
    name = StringField(N_("Your full name"), [LINE, no_nul], render_kw={"autocomplete": "name"})
    reference = StringField(N_("Reference of the legal advice"), [LINE, no_nul])
    date = DateField(N_("Day of the advice"), [Optional()])
    reason = StringField(N_("Reason"), [LINE, no_nul], description=N_("Kept in the audit."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opt_in.choices = [(mode, _(word)) for mode, word in words.OPT_IN.items()]


class HoursForm(PageForm):
    """When one may write to a country."""

    mode = RadioField(N_("Messages leave"), default="default")
    weekdays = StringField(N_("Monday to Friday"), [LINE], description=N_("Such as 08:00-20:00, in the candidate's own time."))
    saturday = StringField(N_("Saturday"), [LINE], description=N_("A window, or “hold”: nothing leaves that day."))
    sunday = StringField(N_("Sunday"), [LINE])
    holidays = StringField(N_("Holidays"), [LINE], description=N_("Empty: as on a Sunday."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mode.choices = [
            ("default", _("as the shipped rule says")),
            ("own", _("in windows of our own")),
            ("always", _("at any hour")),
        ]

    def hours(self) -> str | dict[str, str]:
        """What is to be stored."""
        if self.mode.data != "own":
            return str(self.mode.data)
        days = {name: (self[name].data or "").strip() for name in ("weekdays", "saturday", "sunday", "holidays")}
        return {name: window for name, window in days.items() if window or name != "holidays"}


class RuleForm(PageForm):
    """Who looks after a country's rule, and what the organisation decides about it."""

    owner = StringField(N_("Who looks after it"), [LINE, no_nul], description=N_("A person or a department."))
    source = StringField(N_("Source of the rule"), [LINE, no_nul], description=N_("Empty: as shipped."))
    checked_at = DateField(N_("Last checked on"), [Optional()], description=N_("Look at it again every 180 days."))
    lead_time_days = IntegerField(
        N_("Lead time in days"),
        [InputRequired(N_("Write a number of days.")), NumberRange(0, 1000, N_("Write a number from 0 to 1000."))],
        description=N_("An estimate for the paper work, never a lock."),
        render_kw={"min": 0, "max": 1000},
    )
    price = IntegerField(
        N_("Credits per part"),
        [InputRequired(N_("Write a number of credits.")), NumberRange(0, 10_000, N_("Write a number from 0 to 10000."))],
        render_kw={"min": 0, "max": 10_000},
    )
    links = SelectField()
    international = SelectField()
    no_sender = SelectField()
    sticky_down = SelectField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, (label, options) in words.POLICIES.items():
            self[name].label.text = _(label)
            self[name].choices = [(code, _(word)) for code, word in options.items()]


class HolidayForm(PageForm):
    """A day on which a country is treated as on a Sunday."""

    day = DateField(N_("Day"), [InputRequired(N_("Choose a day."))])
    holiday = StringField(N_("Name"), [LINE, no_nul])


class TrialForm(PageForm):
    """Where the test message goes."""

    number = StringField(
        N_("Staff phone in the country"),
        [InputRequired(N_("Write a number.")), LINE],
        description=N_("A mobile number of the country in international form; it must be a colleague's, never a candidate's."),
        render_kw={"type": "tel", "autocomplete": "off"},
    )


class TextForm(PageForm):
    """A text that the box sends by itself."""

    body = TextAreaField(
        N_("Text"), [InputRequired(N_("Write a text.")), no_nul], render_kw={"rows": 6, "dir": "auto", "maxlength": 1000}
    )


class KeywordForm(PageForm):
    """A word to add."""

    word = StringField(
        N_("Word or phrase"), [InputRequired(N_("Write a word.")), no_nul], render_kw={"maxlength": 60, "dir": "auto"}
    )
    kind = SelectField(N_("What it does"))
    language = StringField(
        N_("Language"), [LINE], description=N_("Such as sv; empty for every language."), render_kw={"maxlength": 12}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = [(kind, _(words.KEYWORDS[kind])) for kind in KEYWORD_KINDS]


class TimesForm(PageForm):
    """Times of the double opt-in, and the contact that HELP tells."""

    reminder_hours = IntegerField(
        N_("Remind after hours"),
        [InputRequired(N_("Write a number."))],
        render_kw=dict(zip(("min", "max"), NUMBERS["reminder_hours"][1:], strict=True)),
    )
    expiry_days = IntegerField(
        N_("Give up after days"),
        [InputRequired(N_("Write a number."))],
        render_kw=dict(zip(("min", "max"), NUMBERS["expiry_days"][1:], strict=True)),
    )
    grant_days = IntegerField(
        N_("A silent consent ends after days"),
        [InputRequired(N_("Write a number."))],
        render_kw=dict(zip(("min", "max"), NUMBERS["grant_days"][1:], strict=True)),
    )
    contact = StringField(N_("Contact told by HELP"), [LINE, no_nul], description=N_("A phone number, an address or a page."))


class EraseForm(PageForm):
    """Whose data to erase, why, and when they asked."""

    ref = StringField(N_("Reference of the candidate"), [InputRequired(N_("Write the reference.")), LINE, no_nul])
    requested_on = DateField(N_("The person asked on"), [InputRequired(N_("Choose the day."))])
    reason = StringField(N_("Reason"), [InputRequired(N_("Write a reason.")), LINE, no_nul])


class HoldForm(PageForm):
    """Whose data a legal hold keeps."""

    ref = StringField(N_("Reference of the candidate"), [InputRequired(N_("Write the reference.")), LINE, no_nul])
    reason = StringField(N_("Reason"), [InputRequired(N_("Write a reason.")), LINE, no_nul], description=N_("Kept in the audit."))


class SenderForm(PageForm):
    """What a number may do, and how fast."""

    countries = StringField(
        N_("Countries it is local in"),
        [LINE],
        description=N_("Codes such as SE, NO. Candidates there get messages from this number first."),
    )
    international = SelectField(N_("Other countries"))
    active = SelectField(N_("In use"))
    gap_seconds = FloatField(
        N_("Seconds between two messages"),
        [InputRequired(N_("Write a number.")), NumberRange(0, 3600, N_("Write a number from 0 to 3600."))],
    )
    minute = IntegerField()
    hour = IntegerField()
    day = IntegerField()
    month = IntegerField()
    recipients = IntegerField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.international.choices = [("1", _("may write there")), ("0", _("may not write there"))]
        self.active.choices = [("1", _("yes")), ("0", _("no: nothing leaves from it"))]
        for name, word in words.BUDGETS.items():
            self[name].label.text = _(word)
            self[name].validators = [Optional(), NumberRange(0, 10_000_000, _("Write a number from 0 to 10000000."))]
            self[name].description = _("Empty: the factory's limit.")
