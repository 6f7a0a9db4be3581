"""Views read input, call a flow and answer: no query and no rule in `web/`, neither in Python nor in a page; and no rule twice.

Reads sources, runs nothing. Queries stand in `gateway/store/lists_*` (the read models) and in flows; rules in `gateway/rules/`.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parent.parent
WEB = sorted((ROOT / "web").rglob("*.py"))
PAGES = sorted(path for path in (ROOT / "web/templates").rglob("*") if path.is_file())

SQL = re.compile(
    r"\b(?:(?<![</-])SELECT\b.+\bFROM|INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|ORDER\s+BY|GROUP\s+BY|LEFT\s+JOIN"
    r"|WHERE\s+\w+(?:\.\w+)?\s*(?:=|<|>|IN\b|IS\b)|(?:CREATE|ALTER|DROP)\s+(?:TABLE|INDEX)|PRAGMA\s+\w+)",
    re.IGNORECASE | re.DOTALL,
)
ASKS = {"execute", "executemany", "executescript", "one", "all", "fetchone", "fetchall", "cursor", "raw"}
"""What asks a database, on whatever it is called."""
WRITES = {"value", "insert", "event", "savepoint", "memo", "for_update", "for_share", "skip_locked", "peewee", "write"}
"""What reads or changes a store: on a transaction, a view or the database only (lists have an insert, enums a value). That
somebody read much is audited by the view itself. `write` is for who tries once: views `transact`, which tries again when
PostgreSQL has picked them as a deadlock's victim."""
STORES = {"tx", "view", "database", "store", "transaction", "cursor", "connection", "read", "write"}
DRIVERS = {"peewee", "playhouse", "sqlite3", "psycopg"}
NAMES_ITS_ERROR = {"web/api/system.py"}
"""/readyz looks whether the store answers, and names what is wrong with it."""

READ_MODELS = re.compile(r"gateway\.store\.lists_\w+")
FROM_STORE = {
    "gateway.store.database": {"Ahead", "Database", "Row", "StoreUnavailable", "Transaction", "View"},
    "gateway.store.ids": {"*"},
    "gateway.store.schema": {"*"},
    "gateway.store.setup": {"SCOPES", "check_zone", "*"},
}
"""What of the store a view may know beside the read models: types, ids, the check of the schema at the start, keys."""
ONLY_AT_THE_START = {"gateway.store.schema": {"web/__main__.py"}}

RULES_TO_SHOW = {
    "label": "names a template's kind",
    "label_of": "names a permission",
    "category_of": "the heading it stands under",
    "csv_text": "writes rows as CSV",
    "csv_cell": "writes rows as CSV",
    "today": "a date in a zone",
    "required_fields": "shown in the form of a template",
}
"""Functions of gateway.rules that a view may call, because they decide nothing."""

DRAWN = {"chart", "lit", "loop", "bar"}
"""Pictures: coordinates of a chart, bars of a signal."""

WEIGHED = {
    "web/api/modems.py": "a time to live as seconds from now, the last day of a curve; late: said of what nobody has noted yet",
    "web/api/users.py": "a filter in days as a moment",
    "web/certificates.py": "the dates of a TLS certificate",
    "web/pages/words.py": "one credit, two credits",
}
"""Files that may count with such words, and what they count."""

CODES_OF_THE_WEB = {
    **dict.fromkeys(("key_missing", "key_invalid", "scope_missing", "address_not_allowed", "rate_limited"), "who calls"),
    **dict.fromkeys(("idempotency_conflict", "idempotency_key_invalid"), "a header"),
    "invalid_day": "a day of the query",
    "mail_not_configured": "what the box's configuration lacks",
    "malformed_json": "the body",
    "not_utf8": "the body",
    "user_missing": "a filter that needs another",
    "answer_missing": "a form without its button",
}
"""Codes of Refused that web/ raises itself: about the request, not about what it asks for."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def at(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def prose(module: ast.Module) -> set[int]:
    """Docstrings: strings that stand alone."""
    return {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}


def queries(module: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every sign of a question to a database."""
    skipped = prose(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped and SQL.search(node.value):
            yield node, f"SQL: {node.value[:60]!r}"
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).split(".")[-1].split("(")[0]
            if node.attr in ASKS and not (owner == "g" or owner == "args"):
                yield node, f".{node.attr} on {owner}"
            if node.attr in WRITES and owner in STORES:
                yield node, f".{node.attr} on {owner}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)]
            for name in names:
                if name.split(".")[0] in DRIVERS:
                    yield node, f"imports {name}"


@pytest.mark.parametrize("path", WEB, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_view_asks_a_database(path: Path) -> None:
    named = "imports sqlite3" if str(path.relative_to(ROOT)) in NAMES_ITS_ERROR else None
    found = [f"{at(path, node)}: {what}" for node, what in queries(tree(path)) if what != named]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_asks_a_database_or_weighs_anything(path: Path) -> None:
    """Pages look, they do not compute: no arithmetic on what they show, no order but a count's, no store."""
    text = path.read_text()
    assert not SQL.search(re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)), path
    page = Environment(extensions=["jinja2.ext.i18n", "jinja2.ext.do"], autoescape=True).parse(text)
    for name in page.find_all(nodes.Name):
        assert name.name not in STORES, f"{path}:{name.lineno} knows {name.name}"
    for asked in page.find_all(nodes.Getattr):
        assert asked.attr not in ASKS - {"raw"}, f"{path}:{asked.lineno} asks .{asked.attr}"
    for sum_ in page.find_all(nodes.BinExpr):
        drawn = any(name.name in DRAWN for name in sum_.find_all(nodes.Name))
        computes = isinstance(sum_, nodes.Div | nodes.FloorDiv | nodes.Mod | nodes.Mul | nodes.Pow | nodes.Sub)
        worded = isinstance(sum_, nodes.Mod) and isinstance(sum_.right, nodes.Dict)  # "%(count)s parts" % {…}
        assert not computes or drawn or worded, f"{path}:{sum_.lineno} computes"
    for compared in page.find_all(nodes.Compare):
        for operand in compared.ops:
            ordered = operand.op in ("gt", "lt", "gteq", "lteq")
            drawn = any(name.name in DRAWN for name in compared.find_all(nodes.Name))
            assert not ordered or drawn or isinstance(operand.expr, nodes.Const), (
                f"{path}:{compared.lineno} weighs one thing against another"
            )


def test_views_take_from_the_store_only_read_models_and_types() -> None:
    strangers = []
    for path in WEB:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("gateway.store"):
                continue
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if READ_MODELS.fullmatch(inner) or READ_MODELS.fullmatch(str(node.module)):
                    continue
                whole = inner in FROM_STORE and "*" in FROM_STORE[inner]
                known = alias.name in FROM_STORE.get(str(node.module), set())
                at_its_place = str(path.relative_to(ROOT)) in ONLY_AT_THE_START.get(inner, {str(path.relative_to(ROOT))})
                if not (whole or known) or not at_its_place:
                    strangers.append(f"{at(path, node)}: {inner}")
    assert not strangers, "\n".join(strangers)


def test_views_call_no_rule() -> None:
    """Of gateway.rules they know words, types and how things are written; deciding is for flows."""
    found = []
    for path in WEB:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("gateway.rules."):
                found += [
                    f"{at(path, node)}: {alias.name}"
                    for alias in node.names
                    if alias.name[0].islower() and alias.name not in RULES_TO_SHOW
                ]
    assert not found, "\n".join(found)


def test_views_count_no_time_and_no_money() -> None:
    """No arithmetic on the time of a call, on credits or prices: holds, windows, expiries and sums are decided by flows."""
    found = []
    for path in (each for each in WEB if str(each.relative_to(ROOT)) not in WEIGHED):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
                words = ast.unparse(node)
                if re.search(r"\bcall\.now\b|\bprice\b|\bbalance\b|\bnot_before\b|\bvalid_until\b|\bexpires_at\b", words):
                    found.append(f"{at(path, node)}: {words}")
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops):
                words = ast.unparse(node)
                if re.search(r"\bcall\.now\b|\bprice\b|\bbalance\b|\bnot_before\b|\bvalid_until\b|\bexpires_at\b|credits", words):
                    found.append(f"{at(path, node)}: {words}")
    assert not found, "\n".join(found)


def test_this_test_sees_every_kind_of_query() -> None:
    source = '''
"""Select something FROM the list; ORDER BY is prose here."""
import sqlite3
from peewee import fn
def f(tx, call, names):
    names.insert(0, "select one from the list below")
    tx.insert("message")
    call.database.read().one("x")
    tx.value("SELECT id FROM message WHERE id = ?")
    return f"{names} ORDER BY id"
'''
    found = sorted(f"{getattr(node, 'lineno', 0)} {what.split(':')[0]}" for node, what in queries(ast.parse(source)))
    kinds = [
        "3 imports sqlite3",
        "4 imports peewee",
        "6 SQL",
        "7 .insert on tx",
        "8 .one on read",
        "9 .value on tx",
        "9 SQL",
        "10 SQL",
    ]
    assert found == sorted(kinds)


# No rule stands twice.

VOCABULARY = re.compile(r"(?:unknown|invalid)_\w+|\w+_not_found|out_of_range|duplicate_\w+|not_an_organisation")
"""Codes about the shape of one input or a reference that leads nowhere. Each reader of such an input raises them: the list of
words or the limits differ, the code tells the caller what to look at."""

SHARED = {
    "answer_missing": "the form and the API each miss their own field",
    "interview_type_not_supported": "the options asked for, and the interview made; both read TYPES of gateway.rules.interviews",
    "kind_not_allowed_on_channel": "one gate at sending; the templates' matrix shows the same before anything is sent",
    "looks_like_rejection": "the phrases are one list: a text at sending, a template when it is written",
    "insufficient_credits": "credits.reserve decides; a preview tells it without reserving",
    "link_expired": "links to consent, interview, export and password each end by their own state",
    "link_unknown": "two sorts of candidate's links",
    "merge_value_missing": "a template's field, and the companion's name, company and purpose",
    "missing_merge_field": "templates, invitations and our own texts each need other fields",
    "no_sender_for_country": "the gate at sending; a country's checklist before it is switched on",
    "opted_out": "the gate at sending; a push of consent that a STOP forbids",
    "permission_denied": "rights.permits decides; the words tell what was asked for",
    "seat_limit": "one user, and a whole file of users, of which no half may be taken",
    "stale_version": "each record has its own version",
    "template_invalid": "the language of templates, and their size",
    "template_of_other_kind": "invitations and reminders",
    "text_and_template": "a message, and a reminder's own wording",
    "text_empty": "a message, and a reminder's own wording",
    "too_long": "a message's parts, a template's, one of our own texts'",
    "user_inactive": "who acts, and who is to get a seat or a password",
}
"""Codes with more than one home, and why the rule behind them is none the less one, or several of the same name."""

GATES = ROOT / "gateway/rules/gates.py"


@cache
def refusals() -> dict[str, dict[str, list[str]]]:
    """code → module → the words of each Refused raised there."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in [*sorted((ROOT / "gateway").rglob("*.py")), *WEB]:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or ast.unparse(node.func).split(".")[-1] != "Refused" or not node.args:
                continue
            if isinstance(node.args[0], ast.Constant):
                words = ast.unparse(node.args[2]) if len(node.args) > 2 else ""
                found[str(node.args[0].value)][str(path.relative_to(ROOT))].append(words)
    return found


def test_each_refusal_is_decided_in_one_place() -> None:
    twice = {
        code: sorted(homes)
        for code, homes in refusals().items()
        if len(homes) > 1 and code not in SHARED and not VOCABULARY.fullmatch(code)
    }
    assert not twice, f"raised in several modules: one rule twice, or tell here why not: {twice}"


def test_the_reasons_stand_for_something() -> None:
    idle = [code for code in SHARED if len(refusals().get(code, {})) < 2]
    assert not idle, f"raised in one module only by now: take them off the list: {idle}"


def test_a_gate_is_no_vocabulary() -> None:
    """What the gates of requirements §0 refuse is decided there; others may only have the reasons above."""
    gates = {code for code, homes in refusals().items() if str(GATES.relative_to(ROOT)) in homes}
    assert {"consent_required", "country_disabled", "opted_out"} <= gates, "the gates are elsewhere now"
    assert {code for code in gates if len(refusals()[code]) > 1} <= set(SHARED)


def test_no_view_refuses_by_a_rule() -> None:
    own = {
        code: sorted(home for home in homes if home.startswith("web/"))
        for code, homes in refusals().items()
        if any(home.startswith("web/") for home in homes)
    }
    strangers = {code: homes for code, homes in own.items() if code not in CODES_OF_THE_WEB}
    assert not strangers, f"a rule in web/: {strangers}"


def test_no_rule_is_defined_twice() -> None:
    """No two functions of gateway.rules, of any length worth it, have the same body; nor has a flow or view a copy of one."""
    seen: dict[str, list[str]] = defaultdict(list)
    for path in [*sorted((ROOT / "gateway").rglob("*.py")), *WEB]:
        if "migrations" in path.parts:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                body = [each for each in node.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
                words = "\n".join(ast.unparse(each) for each in body)
                if len(words) > 120:
                    seen[words].append(f"{at(path, node)} {node.name}")
    copies = [places for places in seen.values() if len(places) > 1]
    assert not copies, copies


def test_no_limit_has_two_values() -> None:
    """A constant of a rule that a view names again would drift: numbers of rules are not written in web/ (a day is a day)."""
    limits = Counter(
        target.id
        for path in sorted((ROOT / "gateway/rules").rglob("*.py"))
        for node in tree(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and not target.id.startswith("_")
    )
    again = [
        f"{at(path, node)}: {target.id}"
        for path in WEB
        for node in tree(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in limits and target.id not in ("DAY_MS", "FILTERS")
    ]
    assert not again, again
