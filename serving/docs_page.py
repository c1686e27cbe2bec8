"""A page that lists the operations, from the OpenAPI description and from nothing outside."""

from collections.abc import Mapping
from html import escape
from typing import Any

from core.i18n import msg

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


def docs_page(openapi: Mapping[str, Any], language: str) -> str:
    """Return the page.

    Parameters
    ----------
    openapi : mapping
        The description that the application makes of itself.
    language : {"en", "zh"}
        Language of the page's own words; summaries are as in the description.
    """

    def say(template: Any) -> str:
        return escape(template.text(language))

    operations = "".join(
        _operation(method, path, operation, language)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f"<title>{say(msg('Scoring service'))}</title>"
        '<link rel="stylesheet" href="/docs/style.css"></head><body>'
        f"<h1>{say(msg('Scoring service'))}</h1>"
        f"<p>{say(msg('Every answer names the version that gave it and is kept before it is sent.'))} "
        f"{say(msg('What rows a model takes is listed by'))} <code>GET /v1/models</code>. "
        f'<a href="/openapi.json">OpenAPI</a></p>'
        f"<pre>{escape(_EXAMPLE)}</pre>{operations}</body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any], language: str) -> str:
    heading = f'<h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>'
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return f"{heading}<p>{escape(operation.get('summary', ''))}</p>{_fields(body, language)}{_answers(operation)}"


def _fields(schema: Mapping[str, Any], language: str) -> str:
    needed = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td>"
        f"<td>{escape(msg('needed').text(language)) if name in needed else ''}</td>"
        f"<td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table>{rows}</table>" if rows else ""


def _answers(operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{escape(answer.get('description', ''))}</td></tr>"
        for status, answer in sorted(operation.get("responses", {}).items())
    )
    return f"<table>{rows}</table>"
