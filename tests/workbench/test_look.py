"""The theme file of the pages holds no colour of its own, and the server talks to nobody."""

import re
import tomllib
from dataclasses import astuple
from pathlib import Path

from reporting import tokens

WORKBENCH = Path(__file__).parents[2] / "workbench"
CONFIG = tomllib.loads((WORKBENCH / ".streamlit" / "config.toml").read_text("utf-8"))
HEX = re.compile(r"#[0-9a-fA-F]{6}\b")


def colours(palette: tokens.Palette) -> set[str]:
    return {value for field in astuple(palette) for value in (field if isinstance(field, tuple) else (field,))}


def test_theme_uses_the_tokens_only() -> None:
    for name, palette in (("light", tokens.LIGHT), ("dark", tokens.DARK)):
        assert set(HEX.findall(str(CONFIG["theme"][name]))) <= colours(palette)


def test_no_page_or_style_sheet_holds_a_colour() -> None:
    for path in (*WORKBENCH.rglob("*.py"), *WORKBENCH.rglob("*.css"), *WORKBENCH.rglob("*.html")):
        assert not HEX.findall(path.read_text("utf-8")), path.name


def test_server_sends_no_telemetry_and_hides_traces() -> None:
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["client"]["showErrorDetails"] == "none"
    assert CONFIG["server"]["address"] == "127.0.0.1"
