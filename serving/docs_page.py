"""A page that lists the operations, from the OpenAPI description and from nothing outside."""

from collections.abc import Mapping
from html import escape
from typing import Any

from core.i18n import Message, MessageLike, msg, translate

__all__ = ["STYLE", "docs_page"]

STYLE = """
:root { color-scheme: light dark; font: 15px/1.55 system-ui, "Noto Sans CJK SC", sans-serif; }
body { max-width: 56rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { padding: .9rem 1rem; border: 1px solid #8884; border-radius: 8px; overflow-x: auto; }
.method { display: inline-block; min-width: 3.2rem; font-weight: 650; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem .3rem 0;
vertical-align: top; border-bottom: 1px solid #8883; }
"""

_EXAMPLE = """curl -s http://127.0.0.1:8502/v1/score \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"project": "...", "request_id": "2026-000123", "language": "zh", "tables": {"...": [{"...": "..."}]}}'"""


# What FastAPI writes where nothing was said.
_SAYS_NOTHING = "Successful Response"


def docs_page(openapi: Mapping[str, Any], language: str) -> str:
    """Return the page.

    Parameters
    ----------
    openapi : mapping
        The description that the application makes of itself.
    language : {"en", "zh"}
        Language of the page.
    """
    operations = "".join(
        _operation(method, path, operation, language)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f"<title>{say(msg('Scoring service'), language)}</title>"
        '<link rel="stylesheet" href="/docs/style.css"></head><body>'
        f"<h1>{say(msg('Scoring service'), language)}</h1>"
        f"<p>{say(msg('Every answer names the version that gave it and is kept before it is sent.'), language)} "
        f"{say(msg('What rows a model takes is listed by'), language)} <code>GET /v1/models</code>. "
        f'<a href="/openapi.json">OpenAPI</a></p>'
        f"<pre>{escape(_EXAMPLE)}</pre>{operations}</body></html>"
    )


def say(text: MessageLike, language: str) -> str:
    """Return a text in `language`, safe in HTML; the description's own texts are found by their English."""
    return escape(text.text(language) if isinstance(text, Message) else translate(text, language))


def _operation(method: str, path: str, operation: Mapping[str, Any], language: str) -> str:
    heading = f'<h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>'
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    summary = say(operation.get("summary", ""), language)
    return f"{heading}<p>{summary}</p>{_fields(body, language)}{_answers(operation, language)}"


def _fields(schema: Mapping[str, Any], language: str) -> str:
    needed = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td>"
        f"<td>{say(msg('needed'), language) if name in needed else ''}</td>"
        f"<td>{say(field.get('description', ''), language)}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table>{rows}</table>" if rows else ""


def _answers(operation: Mapping[str, Any], language: str) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{say(answer.get('description', ''), language)}</td></tr>"
        for status, answer in sorted(operation.get("responses", {}).items())
        if answer.get("description") != _SAYS_NOTHING
    )
    return f"<table>{rows}</table>" if rows else ""
