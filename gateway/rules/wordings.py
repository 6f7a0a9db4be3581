"""The texts the box falls back to when an organisation has not written its own. Pure; `{{company}}` is the only field."""

_TEXTS: dict[str, dict[str, str]] = {
    "stop_confirmation": {
        "en": "{{company}}: You will get no more text messages from us. Reply START if you change your mind.",
        "sv": "{{company}}: Du får inga fler sms från oss. Svara START om du ändrar dig.",
        "de": "{{company}}: Sie erhalten keine SMS mehr von uns. Antworten Sie START, falls Sie es sich anders überlegen.",
    },
    "help": {
        "en": "{{company}}: We write about your job application. Reply STOP to get no more messages.",
        "sv": "{{company}}: Vi skriver om din jobbansökan. Svara STOPP för att slippa fler sms.",
        "de": "{{company}}: Wir schreiben wegen Ihrer Bewerbung. Antworten Sie STOPP, um keine SMS mehr zu erhalten.",
    },
}


def default_wording(kind: str, language: str) -> str:
    """The built-in text of a kind, in the language, its base language or English. Raises KeyError for an unknown kind."""
    texts = _TEXTS[kind]
    return texts.get(language) or texts.get(language.split("-")[0]) or texts["en"]
