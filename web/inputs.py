"""Reading what callers send: JSON, query and path into checked values, or one refusal that names every field.

The order is the one of requirements §0: JSON (400), then schema (422). A refusal never repeats the value it is about.
Refuses to know: the store, and what a value means.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from cheroot.errors import MaxSizeExceeded
from flask import request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import HTTPException

from gateway.errors import Refused
from web.problems import Invalid, for_status

MOST_BODY_BYTES = 1_572_864
"""1.5 MiB: a batch of 1,000 messages of four parts fits, two megabytes do not."""

M = TypeVar("M", bound=BaseModel)

_NO_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Input(BaseModel):
    """A request body: unknown fields are refused, nothing is guessed ("yes" is no boolean, "5" is no number)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, regex_engine="rust-regex")


class Query(BaseModel):
    """A query or a path: everything in it is text, so numbers and booleans are read from text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _no_control(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("control_character", "must not contain control characters")
    return value


def _one_line(value: str) -> str:
    if _NO_LINE.search(value):
        raise PydanticCustomError("control_character", "must not contain control characters or line breaks")
    return value


def _moment(value: Any) -> int:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            if moment.tzinfo is not None and 2000 <= moment.year < 2100:
                return round(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            pass
    raise PydanticCustomError("not_a_time", "must be an RFC 3339 time with its offset, such as 2026-11-21T09:30:00Z")


def _said(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("empty", "must not be empty")
    return value


Moment = Annotated[int, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An RFC 3339 time, read as milliseconds since the epoch."""
Ref = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_no_control), AfterValidator(_said)]
"""A name the caller has given to a thing of its own."""
Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_line)]
"""One line of text, possibly empty. Persian names hold joiners, pasted numbers no-break spaces: both may come."""
Words = Annotated[str, StringConstraints(min_length=1, max_length=40_000), AfterValidator(_said)]
"""A text with something in it."""
Limit = Annotated[int, Field(ge=1, le=500)]


class Page(Query):
    """Where a list goes on, and how much of it is wanted."""

    after: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    limit: Limit = 50


# --- words for what pydantic finds -----------------------------------------------------------------------------------

_WORDS = {
    "missing": ("required", "is required"),
    "extra_forbidden": ("unknown_field", "is no field of this request"),
    "model_type": ("not_an_object", "must be a JSON object"),
    "model_attributes_type": ("not_an_object", "must be a JSON object"),
    "dict_type": ("not_an_object", "must be a JSON object"),
    "list_type": ("not_a_list", "must be a list"),
    "string_type": ("not_text", "must be text"),
    "bool_type": ("not_a_boolean", "must be true or false"),
    "bool_parsing": ("not_a_boolean", "must be true or false"),
    "int_type": ("not_a_whole_number", "must be a whole number"),
    "int_parsing": ("not_a_whole_number", "must be a whole number"),
    "int_parsing_size": ("out_of_range", "is too large a number"),
    "int_from_float": ("not_a_whole_number", "must be a whole number"),
    "float_type": ("not_a_number", "must be a number"),
}


def _field(location: Sequence[int | str]) -> str:
    """`("messages", 3, "text")` → `messages[3].text`; the whole body is `body`."""
    name = ""
    for step in location:
        if isinstance(step, int):
            name += f"[{step}]"
        else:
            name += ("." if name else "") + step[:64]
    return name or "body"


def _about(error: Mapping[str, Any], known: Sequence[str]) -> dict[str, str]:
    kind, context = error["type"], error.get("ctx") or {}
    location = error["loc"]
    if kind == "string_too_short" or (kind == "too_short" and context.get("min_length") == 1):
        code, words = ("empty", "must not be empty") if context["min_length"] == 1 else (kind, error["msg"])
    elif kind in ("string_too_long", "too_long"):
        code, words = "too_long", f"must have at most {context['max_length']} {'characters' if kind[0] == 's' else 'items'}"
    elif kind in ("literal_error", "enum"):
        code, words = "not_allowed", f"must be one of {context['expected']}"
    elif kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        code, words = "out_of_range", error["msg"].replace("Input should", "must")
    else:
        code, words = _WORDS.get(kind) or (kind, error["msg"].removeprefix("Value error, "))
    if kind == "extra_forbidden":
        near = get_close_matches(str(location[-1])[:64], known, n=1)
        if near:
            words += f"; did you mean {near[0]}?"
    return {"field": _field(location), "code": code, "detail": words}


def checked(model: type[M], value: Any, prefix: str = "") -> M:
    """`value` as a `model`; raises Invalid, naming every field that is wrong (below `prefix`)."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        known = [field.alias or name for name, field in model.model_fields.items()]
        found = error.errors(include_url=False, include_input=False)
        errors = [_about(one, known) for one in found[:50]]
    if prefix:
        errors = [{**one, "field": f"{prefix}.{one['field']}"} for one in errors]
    raise Invalid(errors)


# --- the body --------------------------------------------------------------------------------------------------------

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(value: Any, where: str = "") -> None:
    """Refuse NUL and lone surrogates: no database stores them, and no phone shows them."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise Invalid([{"field": where or "body", "code": "control_character", "detail": "has a character no text may have"}])
    elif isinstance(value, dict):
        for name, inner in value.items():
            _storable(name, where)
            _storable(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _storable(inner, f"{where}[{number}]")


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def is_empty() -> bool:
    """Whether the request has no body at all."""
    return request.environ.get("CONTENT_LENGTH") in (None, "", "0") and not request.environ.get("wsgi.input_terminated")


def parsed_json() -> Any:
    """The JSON value of the request's body; 413, 415 or 400 where there is none to be had."""
    environ = request.environ
    if environ.get("CONTENT_TYPE") != "application/json":
        kind = request.mimetype
        if kind and kind != "application/json" and not kind.endswith("+json"):
            raise for_status(415)
    try:
        length = environ.get("CONTENT_LENGTH", "")
        if length.isdecimal() and int(length) <= MOST_BODY_BYTES and not environ.get("wsgi.input_terminated"):
            raw = environ["wsgi.input"].read(int(length))  # the common case, without Werkzeug's layers of streams
            if len(raw) < int(length):
                raise for_status(400)
        else:
            raw = request.get_data(cache=False)
    except (HTTPException, OSError, ValueError, MaxSizeExceeded) as error:
        # cheroot on a chunked body that is too long, or not chunked rightly; Werkzeug makes a 400 of some of them
        told = [error, error.__context__]
        too_long = any(isinstance(each, MaxSizeExceeded) or "Too Large" in str(each) for each in told)
        raise for_status(413 if too_long else 400) from error
    try:
        # Decoded here: json.loads would guess UTF-16 and UTF-32, and let halves of surrogate pairs through
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Refused("malformed_json", 400, f"The body is not JSON: {place}.", field="body") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, NaN, a number of thousands of digits, nested too deeply
        raise Refused("malformed_json", 400, "The body is not JSON.", field="body") from error
    if b"\\u" in raw:
        _storable(value)
    return value


def text_body() -> str:
    """A file in the request's body as text: UTF-8, with or without a byte order mark; 413 or 422 where it is none."""
    try:
        raw = request.get_data(cache=False)
    except (HTTPException, OSError, ValueError, MaxSizeExceeded) as error:
        told = [error, error.__context__]
        too_long = any(isinstance(each, MaxSizeExceeded) or "Too Large" in str(each) for each in told)
        raise for_status(413 if too_long else 400) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("not_utf8", 422, 'The file is not UTF-8; save it as "CSV UTF-8".', field="body") from error
    _storable(text)
    return text


def path_values(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The path's variables; a slash that came as %2F (cheroot leaves it so) is a slash."""
    return {name: value.replace("%2F", "/") if isinstance(value, str) else value for name, value in parts.items()}


def query_values() -> dict[str, Any]:
    """The query's variables, each once."""
    values: dict[str, Any] = {}
    for name, given in request.args.lists():
        if len(given) > 1:
            raise Invalid([{"field": name[:64], "code": "repeated", "detail": "must be given once"}])
        if _UNSTORABLE.search(given[0]) or _UNSTORABLE.search(name):
            raise Invalid([{"field": "query", "code": "control_character", "detail": "has a character no text may have"}])
        values[name] = given[0]
    return values
