"""Templates: fields and a few filters, and nothing that runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.rules.merge_fields import compile_template

DATA = {"candidate": {"first_name": "Kim"}, "company": "Acme AB", "order": {"items": "three", "get": "it"}}


def test_fields_are_listed_and_filled():
    template = compile_template("Hej {{candidate.first_name}} från {{ company|upper }}! {{company}}\n")
    assert template.fields == ("candidate.first_name", "company")
    assert template.render(DATA) == "Hej Kim från ACME AB! Acme AB\n"


def test_values_are_text_and_never_code():
    data = {"candidate": {"first_name": "{{7*7}} {% if 1 %}x{% endif %} <b>"}}
    assert compile_template("{{candidate.first_name}}").render(data) == "{{7*7}} {% if 1 %}x{% endif %} <b>"


def test_a_field_called_like_a_method_is_the_field():
    """Found in review: `{{order.items}}` sent "<built-in method items of dict object…>" to the candidate."""
    assert compile_template("{{order.items}} {{order.get}}").render(DATA) == "three it"
    with pytest.raises(Refused) as refused:
        compile_template("{{order.keys}}").render(DATA)
    assert refused.value.code == "merge_value_missing"


@pytest.mark.parametrize("body", ["{{nobody}}", "{{candidate.last_name}}", "{{candidate.first_name.x}}", "{{company.__class__}}"])
def test_a_missing_value_is_named(body):
    with pytest.raises(Refused) as refused:
        compile_template(body).render(DATA)
    assert (refused.value.code, refused.value.status) == ("merge_value_missing", 422)
    assert refused.value.field == f"data.{body.strip('{}')}"


@pytest.mark.parametrize("value", ["__class__", "mro"])
def test_data_with_telling_names_reach_nothing(value):
    assert compile_template("{{x." + value + "}}").render({"x": {value: "plain"}}) == "plain"


def test_default_stands_in_for_a_missing_value():
    template = compile_template("Hej {{ candidate.nick|default('du')|upper }}")
    assert template.fields == ("candidate.nick",)
    assert template.render(DATA) == "Hej DU"
    assert template.render({"candidate": {"nick": "K"}}) == "Hej K"


@pytest.mark.parametrize(
    "body",
    [
        "{{",
        "{{ 7*7 }}",
        "{{ 'x' }}",
        "{{ a() }}",
        "{{ a.b() }}",
        "{{ a[0] }}",
        "{% for x in y %}{% endfor %}",
        "{% set x = 1 %}",
        "{% if a %}x{% endif %}",
        "{% include 'x' %}",
        "{{ a|tojson }}",
        "{{ a|attr('b') }}",
        "{{ a|default('x' * 999999999) }}",
        "{{ a|default(b.c()) }}",
        "{{ a|default(*b) }}",
        "{{ a if b }}",
        "{{ a ~ b }}",
        "{{ a.b }",
        "}} {{",
        "{{ {} }}",
        "{{ " + "(" * 3000 + "a" + ")" * 3000 + " }}",
    ],
)
def test_anything_but_fields_and_filters_is_refused(body):
    with pytest.raises(Refused) as refused:
        compile_template(body)
    assert (refused.value.code, refused.value.status, refused.value.field) == ("template_invalid", 422, "body")


def test_the_line_of_a_mistake_is_told():
    with pytest.raises(Refused) as refused:
        compile_template("one\ntwo {{ }}")
    assert refused.value.facts == {"why": "syntax", "line": 2}


def test_control_and_direction_signs_are_taken_out_of_values():
    data = {"note": "a\x00b\x1b[31mc\u202ed\ud800e\nf"}
    assert compile_template("{{note}}").render(data) == "ab[31mcde\nf"


@given(
    st.text(max_size=40), st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2))
)
def test_any_value_comes_out_as_text_or_is_missing(body, value):
    try:
        compile_template("{{a}}" + body.replace("{", "").replace("}", "")).render({"a": value})
    except Refused as refused:
        if refused.code != "merge_value_missing" or value is not None:
            raise
