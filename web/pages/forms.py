"""What every form of the pages shares."""

from typing import Any

from flask_wtf import FlaskForm


class PageForm(FlaskForm):  # type: ignore[misc]
    """A form with a CSRF token, whose wrong fields say so to screen readers too."""

    def validate(self, extra_validators: Any = None) -> bool:
        """Whether every field is right; marks those that are not."""
        right = bool(super().validate(extra_validators))
        for field in self:
            if field.errors:
                field.render_kw = {**(field.render_kw or {}), "aria-invalid": "true"}
        return right
