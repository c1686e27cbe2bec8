"""What a person calls a model family."""

from core.i18n import Message, msg

__all__ = ["family_title"]

_TITLES = {
    "lightgbm": Message("LightGBM"),
    "logistic": msg("logistic regression"),
    "scorecard": msg("points scorecard"),
}


def family_title(name: str) -> Message:
    """Return the name of family `name` that a person reads; the name itself where it has no other.

    Examples
    --------
    >>> str(family_title("logistic")), str(family_title("catboost"))
    ('logistic regression', 'catboost')
    """
    return _TITLES.get(name, Message(name))
