"""The style sheet of the pages, written from the tokens; colours follow the light or dark theme by themselves."""

from functools import cache
from pathlib import Path

from reporting import tokens

__all__ = ["page_style", "sign_in_style"]

_NAMES = ("background", "panel", "ink", "line", "brand", "brand_soft", "on_brand", "good", "watch", "bad", "muted")


def page_style(theme: str) -> str:
    """Return the style sheet of the app's pages in a theme, without the ``<style>`` tag.

    Streamlit names the theme on the app alone; what floats above it, such as a popover, hangs on the document.
    """
    return _variables() + f":root {{ color-scheme: {theme}; }}\n" + _sheet("page.css")


def sign_in_style() -> str:
    """Return the style sheet of the sign-in page, without the ``<style>`` tag."""
    return _variables() + _sheet("sign_in.css")


def _variables() -> str:
    pairs = ((name, getattr(tokens.LIGHT, name), getattr(tokens.DARK, name)) for name in _NAMES)
    colours = "".join(f"--{name.replace('_', '-')}: light-dark({light}, {dark});" for name, light, dark in pairs)
    return f":root, .stApp {{ {colours} --radius: {tokens.RADIUS}px; --font: {tokens.FONT_FAMILY}; }}\n"


@cache
def _sheet(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8")
