"""Static files: few, small, and kept by the browser until they change."""

import gzip
import re
from pathlib import Path

import flask_bootstrap
from flask import Flask

from tests.web.pages_fixtures import Person, anonymous, app, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

STATIC = Path(__file__).resolve().parent.parent.parent / "web/static"
MOST_BYTES = 350_000


def addresses(page: str) -> list[str]:
    return list(re.findall(r'(?:href|src)="(/[^"]*?static/[^"#]*)', page))


def test_addresses_of_files_carry_a_hash_of_what_they_are(anonymous: Person) -> None:
    found = addresses(anonymous.get("/admin/login").text)
    assert found
    for address in found:
        assert re.search(r"\?v=[0-9a-f]{12}$", address)
        with anonymous.get(address) as answer:
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_file_asked_for_by_an_old_hash_is_not_kept(anonymous: Person) -> None:
    with anonymous.get("/static/ringpost.css?v=000000000000") as answer:
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-cache"


def test_no_way_leads_out_of_the_folder(app: Flask, anonymous: Person) -> None:
    assert anonymous.get("/static/../app.py?v=x").status_code == 404
    with app.test_request_context():
        from flask import url_for

        assert url_for("static", filename="../app.py").startswith("/static/")


def test_all_that_the_pages_may_load_is_small() -> None:
    """Every own file but the API page's, and Bootstrap's style sheet, as they travel."""
    own = [path for path in STATIC.rglob("*") if path.is_file() and path.name != "docs.js"]
    bootstrap = Path(flask_bootstrap.__file__).parent / "static/bootstrap5/css/bootstrap.min.css"
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in [*own, bootstrap]}
    assert sum(sizes.values()) <= MOST_BYTES, sizes
