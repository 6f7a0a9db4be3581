"""What counts as text: no NUL (PostgreSQL refuses it), no half of a surrogate pair (UTF-8 has none). No phone shows either.

Pure. Where a caller can be told, the text is refused; what comes from the air is kept, with U+FFFD in their place.
"""

import re

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def is_text(value: str) -> bool:
    """Whether every store can keep it."""
    return _NO_TEXT.search(value) is None


def as_text(value: str) -> str:
    """The value with U+FFFD, the sign for "something was here", where it is no text."""
    return _NO_TEXT.sub("\ufffd", value)
