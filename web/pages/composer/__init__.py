"""The composer: writing to a candidate, wherever a page offers it. Included by `{% include "composer/_form.html" %}`.

    told.py    plain words: why a channel is closed and what to do, kinds, what became of a message
    form.py    what the person has typed, and all that the form shows: `form_for(…)` makes it
    seen.py    what the message would become
    views.py   its own page, the preview while one types, sending exactly once

A page that includes it passes `composer=composer.form_for(view, viewer, candidate_ref, case_ref, now, back=…)` and loads
`composer.js`. What is refused is shown on the composer's own page, with what was typed kept.
"""

from web.pages.composer.form import Form, form_for
from web.pages.composer.told import CLOSED
from web.pages.composer.views import blueprint

__all__ = ["CLOSED", "Form", "blueprint", "form_for"]
