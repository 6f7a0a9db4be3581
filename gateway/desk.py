"""The inbound desk of this box: keyword tables from config/, and numbers hashed under its key."""

from functools import lru_cache

import config
from gateway.flows.candidates import phone_hash
from gateway.flows.interview_desk import InterviewDesk
from gateway.flows.receive import Desk
from gateway.rules.intents import packs_from
from gateway.rules.interview_texts import Phrases
from gateway.rules.interviews import AnswerWords
from gateway.rules.keywords import Keywords, fold, words_from
from gateway.rules.links import Links


@lru_cache(maxsize=8)
def open_interviews(base: str | None, token_key: bytes) -> InterviewDesk:
    """What interviews need: `base` is the address of the candidates' pages, `token_key` makes their links."""
    return InterviewDesk(
        links=Links(base, token_key),
        words=AnswerWords(config.table("keywords.toml")),
        phrases=Phrases(config.table("interviews.toml")),
    )


def open_desk(phone_key: bytes, interviews: InterviewDesk | None = None) -> Desk:
    """Read the tables that the package ships. Without `interviews` their links lead nowhere."""
    keywords = config.table("keywords.toml")
    languages = {row["iso"]: tuple(row["languages"]) for row in config.table("countries.toml")["country"]}
    return Desk(
        keywords=Keywords(
            everywhere=words_from(keywords["everywhere"]),
            plus_one=words_from(keywords["plus_one"]),
            languages={name: words_from(row) for name, row in keywords["language"].items()},
            inside=frozenset(fold(phrase) for phrase in keywords["plus_one"]["inside"]),
            phrases=frozenset(fold(phrase) for phrase in keywords["phrases"]["stop"]),
        ),
        hash_number=lambda number: phone_hash(phone_key, number),
        languages_of=lambda iso: languages.get(iso or "", ()),
        interviews=interviews or open_interviews(None, b""),
        intents=packs_from(config.table("intents.toml")),
    )
