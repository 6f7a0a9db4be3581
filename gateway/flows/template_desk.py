"""What an editor of templates needs besides saving: units to work in, remarks while one types, a copy for a unit below.

Reads and small steps only; what may be saved is decided in flows/templates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from gateway.flows import templates
from gateway.flows.facts import path_of, tree
from gateway.flows.rights import Acting
from gateway.flows.templates import Draft
from gateway.rules.permissions import TEMPLATES_VIEW
from gateway.rules.templates import Lint
from gateway.store import lists_templates
from gateway.store.database import Row, Transaction, View
from modem.segments import Alphabet, transliterate


@dataclass(frozen=True, slots=True)
class Unit:
    """A node of the tree as a choice: how deep it lies, and its row."""

    row: Row
    depth: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be said of a text: the linter's remarks, and the same text in plainer letters where that is another one."""

    lint: Lint
    most: int
    plainer: str | None = None
    plainer_lint: Lint | None = None

    @property
    def is_too_long(self) -> bool:
        """Whether the longest values would be refused."""
        return self.lint.longest.parts > self.most

    @property
    def plainer_saves(self) -> bool:
        """Whether plainer letters save a part or reach GSM-7: an emoji beside a curly quote costs the same without the quote."""
        other = self.plainer_lint
        if other is None:
            return False
        fewer = other.ordinary.parts < self.lint.ordinary.parts or other.longest.parts < self.lint.longest.parts
        return fewer or other.ordinary.alphabet == Alphabet.GSM7


def units(view: View, by: Acting, permission: str = TEMPLATES_VIEW) -> list[Unit]:
    """Every node where this person holds the permission, parents before their children."""
    nodes = tree(view, by.organisation_id)
    paths = {each: path_of(view, by.organisation_id, each) for each in nodes}
    order = sorted(nodes, key=lambda each: [nodes[step]["ref"] for step in reversed(paths[each])])
    return [Unit(nodes[each], len(paths[each]) - 1) for each in order if permission in (by.rights(view, each) or ())]


def home_of(view: View, by: Acting, template_id: str) -> str:
    """The node that a template belongs to. Raises Refused `template_not_found`."""
    row = lists_templates.template(view, by.organisation_id, template_id)
    if row is None:
        raise templates.not_found()
    return str(row["unit_id"])


def plain_lines(body: str) -> str:
    """A text as it is stored: browsers end each line by CR LF, a template by LF alone."""
    return body.replace("\r\n", "\n")


def check(
    view: View, organisation_id: str, body: str, kind: str, channel: str, most: int, declared: Sequence[Mapping[str, Any]]
) -> Checked:
    """The remarks on a text, counted as a save counts. Raises Refused like a save."""
    body = plain_lines(body)
    found = templates.inspect(view, organisation_id, body, kind, channel, most, declared)
    plainer = transliterate(body)
    if channel != "sms" or plainer == body:
        return Checked(found, most)
    other = templates.inspect(view, organisation_id, plainer, kind, channel, most, declared)
    return Checked(found, most, plainer, other)


def replaced(body: str, position: int, replacement: str) -> str:
    """The text with the one character at `position` exchanged; unchanged where there is none."""
    body = plain_lines(body)
    return body[:position] + replacement + body[position + 1 :] if 0 <= position < len(body) else body


def plainer(body: str) -> str:
    """The text in letters of GSM-7 wherever there is a sensible one."""
    return transliterate(plain_lines(body))


def copy_to(tx: Transaction, by: Acting, template: Row, unit: Row, fields: Sequence[Mapping[str, Any]], now: int) -> Row:
    """A unit's own template that begins as the inherited one. Raises Refused as `templates.create`."""
    draft = Draft(
        name=template["name"],
        kind=template["kind"],
        channel=template["channel"],
        language=template["language"],
        body=template["body"],
        max_segments=template["max_parts"],
        fields=fields,
        confirm_not_rejection=True,  # said once, where it was written
    )
    return templates.create(tx, by, unit, draft, now)


def difference(before: str, after: str) -> list[tuple[str, str]]:
    """Pieces of two texts in order, each `same`, `gone` or `new`; cut at words."""
    old, new = _words(before), _words(after)
    pieces: list[tuple[str, str]] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(("same", "".join(old[a:b])))
            continue
        pieces += [(what, text) for what, text in (("gone", "".join(old[a:b])), ("new", "".join(new[c:d]))) if text]
    return pieces


def _words(text: str) -> list[str]:
    words: list[str] = []
    for sign in text:
        if words and not sign.isspace() and not words[-1].isspace():
            words[-1] += sign
        else:
            words.append(sign)
    return words
