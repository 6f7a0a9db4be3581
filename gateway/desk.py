"""The inbound desk of this box: keyword tables from config/, and numbers hashed under its key."""

import config
from gateway.flows.candidates import phone_hash
from gateway.flows.receive import Desk
from gateway.rules.keywords import Keywords, words_from


def open_desk(phone_key: bytes) -> Desk:
    """Read the tables that the package ships."""
    keywords = config.table("keywords.toml")
    languages = {row["iso"]: tuple(row["languages"]) for row in config.table("countries.toml")["country"]}
    return Desk(
        keywords=Keywords(
            everywhere=words_from(keywords["everywhere"]),
            plus_one=words_from(keywords["plus_one"]),
            languages={name: words_from(row) for name, row in keywords["language"].items()},
        ),
        hash_number=lambda number: phone_hash(phone_key, number),
        languages_of=lambda iso: languages.get(iso or "", ()),
    )
