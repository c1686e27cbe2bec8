"""A text whose template and values stay apart until it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.i18n.catalogue import translate

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True)
class Message:
    """An English template with named placeholders, and the values that fill them.

    Parameters
    ----------
    template : str
        English text; ``{name}`` marks a placeholder. It is the key of the catalogue too.
    values : mapping of str to object
        What fills the placeholders; a value may be a `Message` itself.

    Examples
    --------
    >>> str(msg("file {file} has no rows", file="a.csv"))
    'file a.csv has no rows'
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, language: str = "en") -> str:
        """Return the sentence in `language`."""
        template = translate(self.template, language)
        if not self.values:
            return template
        return template.format_map({name: render(value, language) for name, value in self.values.items()})

    def to_json(self) -> dict[str, Any]:
        """Return the message as JSON values; `from_json` reads it back."""
        return {"template": self.template, "values": {name: _to_json(value) for name, value in self.values.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Message":
        """Read what `to_json` wrote."""
        if data.get("is_name"):
            return Named(data["template"], dict(data["values"]))
        return cls(data["template"], {name: _from_json(value) for name, value in data.get("values", {}).items()})

    def __str__(self) -> str:
        return self.text("en")

    def __hash__(self) -> int:
        return hash((self.template, tuple((name, str(value)) for name, value in sorted(self.values.items()))))


class Named(Message):
    """A code of the data and what it is called in each language; shown as its name, the code itself where it has none.

    Examples
    --------
    >>> str(Named("C", {"en": "manufacturing", "zh": "制造业"})), Named("C", {"zh": "制造业"}).text("zh")
    ('manufacturing', '制造业')
    """

    def text(self, language: str = "en") -> str:
        """Return the name in `language`, else in English, else in the other one."""
        found = (self.values.get(name) for name in (language, "en", *self.values))
        return next((str(name) for name in found if name), self.template)

    def to_json(self) -> dict[str, Any]:
        """Return the name as JSON values; `Message.from_json` reads it back."""
        return {"template": self.template, "values": dict(self.values), "is_name": True}


MessageLike = Message | str


def msg(template: str, **values: Any) -> Message:
    """Write a text for a person: `template` in English, placeholders in braces, values by name.

    Babel collects the literal first argument of each call into the catalogues.
    """
    return Message(template, values)


def render(value: Any, language: str = "en") -> Any:
    """Return `value` in `language` where it is a `Message`, else `value` as it is."""
    return value.text(language) if isinstance(value, Message) else value


def _to_json(value: Any) -> Any:
    if isinstance(value, Message):
        return value.to_json()
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def _from_json(value: Any) -> Any:
    is_message = isinstance(value, Mapping) and "template" in value
    return Message.from_json(value) if is_message else value
