"""A secret to be shown once: kept between the form and the page behind it in the form's cookie, sealed; gone when shown.

So a page with a secret is never the answer to a form, and reloading it neither makes another secret nor shows this one again.
"""

import json

from flask import current_app, session

from gateway import keys

_NAME = "once"


def keep(what: str, secret: str) -> None:
    """Keep a secret for the page that asks for `what`."""
    session[_NAME] = keys.seal(current_app.extensions["ringpost.secrets"].seal, json.dumps([what, secret]))


def take(what: str) -> str | None:
    """The secret kept for `what`, this once; None where there is none."""
    sealed = session.get(_NAME)
    if not sealed:
        return None
    try:
        kept, secret = json.loads(keys.unseal(current_app.extensions["ringpost.secrets"].seal, sealed))
    except (keys.NotSealedHere, ValueError):
        session.pop(_NAME)
        return None
    if kept != what:
        return None
    session.pop(_NAME)
    return str(secret)
