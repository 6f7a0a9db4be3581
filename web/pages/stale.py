"""Two people, one form: what was shown when the form was opened, compared with what is there when it is sent.

A form that edits something carries `shown`, a fingerprint of the values it was filled with. Inside the transaction that would
change them, `check` compares it with the values of now and raises `Stale` where somebody was faster; the view then answers 409
with `layout/stale.html`, which shows both versions and lets the person choose.

    shown = stale.fingerprint(values)                  # GET: into <input type="hidden" name="shown">
    stale.check(values_now, request.form["shown"])     # POST, inside the transaction
    except Stale as found: return stale.page(found, wanted, labels, back=url_for(...))
"""

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue
from wtforms import SelectField  # type: ignore[import-untyped]

from web.pages.forms import PageForm


class Stale(Exception):
    """Somebody has changed it since the form was opened; `now` is what stands there."""

    def __init__(self, now: Mapping[str, Any]) -> None:
        super().__init__("changed meanwhile")
        self.now = now


def fingerprint(values: Mapping[str, Any]) -> str:
    """What these values look like, in 32 characters."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def check(now: Mapping[str, Any], shown: str | None) -> None:
    """Raise `Stale` unless `now` looks as it did when the form was opened."""
    if shown != fingerprint(now):
        raise Stale(now)


def page(
    found: Stale,
    wanted: Mapping[str, Any],
    labels: Mapping[str, str],
    *,
    action: str,
    back: str,
    words: Mapping[str, Mapping[str, str]] | None = None,
) -> ResponseReturnValue:
    """409 with both versions side by side. "Keep mine" sends `wanted` to `action` again, now knowing of theirs.

    `words` say for a field what its values are called, as `choices` does for those of a form; other values show as they are.
    """
    return (
        render_template(
            "layout/stale.html",
            theirs=found.now,
            mine=wanted,
            labels=labels,
            shown=fingerprint(found.now),
            action=action,
            back=back,
            words=words or {},
        ),
        HTTPStatus.CONFLICT,
    )


def choices(form: PageForm) -> dict[str, dict[str, str]]:
    """What the fields of a form that are chosen from a list call their values."""
    return {field.name: dict(field.choices) for field in form if isinstance(field, SelectField)}
