"""Templates: `{{candidate.first_name}}` and a few filters, nothing more.

Pure. Jinja2's sandbox parses and renders; before that the tree is checked to hold only names, attributes and listed filters, so
that neither a template's author nor a value can run anything. Values are text: `{{7*7}}` inside a value is sent literally.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.errors import Refused

FILTERS = frozenset({"upper", "lower", "trim", "title", "default"})
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A checked template and the fields it needs, such as `candidate.first_name`."""

    fields: tuple[str, ...]
    _needed: tuple[str, ...]
    _template: Any

    def render(self, data: Mapping[str, Any]) -> str:
        """The text. Raises Refused `merge_value_missing` naming the field that `data` lacks."""
        from jinja2 import UndefinedError

        for field in self._needed:
            value: Any = data
            for name in field.split("."):
                value = value.get(name) if isinstance(value, Mapping) else None
            if value is None:
                raise Refused(
                    "merge_value_missing",
                    422,
                    f"The template needs a value for {{{{{field}}}}}.",
                    field=f"data.{field}",
                )
        try:
            return str(self._template.render(_clean(data)))
        except UndefinedError as error:
            raise Refused("merge_value_missing", 422, f"The template needs a value: {error.message}.", field="data") from error


def _clean(value: Any) -> Any:
    """Values without control and direction characters, which could hide or reorder what a candidate reads."""
    if isinstance(value, Mapping):
        return {str(key): _clean(inner) for key, inner in value.items()}
    return "" if value is None else _CONTROL.sub("", str(value))


def check_braces(body: str) -> None:
    """Raises Refused `template_invalid` with the position of the first brace that has no partner."""
    opened: int | None = None
    for found in _BRACES.finditer(body):
        if found.group() == "{{" and opened is None:
            opened = found.start()
        elif found.group() == "}}" and opened is not None:
            opened = None
        else:
            raise _unbalanced(body, found.start())
    if opened is not None:
        raise _unbalanced(body, opened)


def _unbalanced(body: str, position: int) -> Refused:
    line = body.count("\n", 0, position) + 1
    column = position - (body.rfind("\n", 0, position) + 1) + 1
    shown = body[position : position + 2]
    strange = shown in ("{%", "%}", "{#", "#}")
    if strange:
        text = f"Line {line}, column {column}: only {{{{fields}}}} may stand in a template, found {shown}."
    else:
        text = f"Line {line}, column {column}: {shown} has no partner."
    return Refused(
        "template_invalid",
        422,
        text,
        field="body",
        facts={
            "why": "not_a_field" if strange else "no_partner",
            "found": shown,
            "position": position,
            "line": line,
            "column": column,
        },
    )


@lru_cache(maxsize=256)
def compile_template(body: str) -> Compiled:
    """Check and compile a template. Raises Refused `template_invalid` (with line) or `unknown_filter`."""
    from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
    from jinja2.sandbox import SandboxedEnvironment

    class Fields(SandboxedEnvironment):
        """A dot means a field of the data and never a method: `{{order.items}}` must not reach into Python."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            found = obj.get(attribute) if isinstance(obj, Mapping) else None
            return self.undefined(obj=obj, name=attribute) if found is None else found

    check_braces(body)
    environment = Fields(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    try:
        tree = environment.parse(body)
    except RecursionError:
        raise Refused("template_invalid", 422, "The template is nested too deeply.", field="body") from None
    except TemplateSyntaxError as error:
        facts = {"why": "syntax", "line": error.lineno}
        raise Refused("template_invalid", 422, f"Line {error.lineno}: {error.message}", field="body", facts=facts) from error
    fields: dict[str, bool] = {}
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            raise _no_field(output.lineno)
        for node in output.nodes:
            if not isinstance(node, nodes.TemplateData):
                field, needed = _field(node)
                fields[field] = fields.get(field, False) or needed
    required = tuple(field for field, needed in fields.items() if needed)
    return Compiled(tuple(fields), required, environment.from_string(body))


def _field(node: Any) -> tuple[str, bool]:
    """The field that a `{{…}}` names, and whether it must have a value (no `default` stands behind it)."""
    from jinja2 import nodes

    needed = True
    while isinstance(node, nodes.Filter):
        if node.name not in FILTERS or node.node is None:
            facts = {"why": "unknown_filter", "line": node.lineno, "filter": node.name}
            text = f"Line {node.lineno}: the filter {node.name} is not known."
            raise Refused("template_invalid", 422, text, field="body", facts=facts)
        if node.kwargs or node.dyn_args or node.dyn_kwargs or not all(isinstance(given, nodes.Const) for given in node.args):
            facts = {"why": "filter_values", "line": node.lineno}
            text = f"Line {node.lineno}: a filter takes plain values only."
            raise Refused("template_invalid", 422, text, field="body", facts=facts)
        needed = needed and not (node.name == "default" and node.args)
        node = node.node
    names: list[str] = []
    while isinstance(node, nodes.Getattr):
        names.append(node.attr)
        node = node.node
    if not isinstance(node, nodes.Name):
        raise _no_field(node.lineno)
    return ".".join([node.name, *reversed(names)]), needed


def _no_field(line: int) -> Refused:
    text = f"Line {line}: only {{{{fields}}}} may stand in a template."
    return Refused("template_invalid", 422, text, field="body", facts={"why": "not_a_field", "line": line})
