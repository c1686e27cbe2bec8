"""Words a person reads, in English and Simplified Chinese.

A text is written once, in English, where it is used: ``msg("file {file} has no rows", file=name)``. It travels as a
:class:`Message` (template and values apart) and becomes a sentence only where it is shown, in the reader's language.
"""

from core.i18n.catalogue import translate
from core.i18n.message import LANGUAGES, Language, Message, MessageLike, Named, msg, render

__all__ = ["LANGUAGES", "Language", "Message", "MessageLike", "Named", "msg", "render", "translate"]
