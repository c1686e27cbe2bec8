"""What a person calls a model family."""

from core.i18n import Message, msg

__all__ = ["family_title"]

_TITLES = {
    "logistic": msg("logistic regression"), "scorecard": msg("points scorecard"),
    "forest": msg("random forest"), "ensemble": msg("weighted ensemble"),
}  # fmt: skip
_PROPER_NAMES = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "catboost": "CatBoost"}


def family_title(name: str) -> Message:
    """Return the name of family `name` that a person reads; the name itself where it has no other.

    Examples
    --------
    >>> str(family_title("logistic")), str(family_title("catboost"))
    ('logistic regression', 'CatBoost')
    """
    return _TITLES.get(name) or Message(_PROPER_NAMES.get(name, name))
