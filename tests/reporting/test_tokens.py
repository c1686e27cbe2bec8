import re
from pathlib import Path

import pytest

import reporting
from reporting.tokens import DARK, LIGHT, Palette, contrast_ratio


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_colour_can_be_read_on_panel_and_background(colors: Palette) -> None:
    texts = (colors.ink, colors.brand, colors.good, colors.watch, colors.bad, colors.muted, *colors.series_text)
    assert min(contrast_ratio(text, ground) for text in texts for ground in (colors.panel, colors.background)) >= 4.5
    assert contrast_ratio(colors.on_brand, colors.brand) >= 4.5


def test_contrast_agrees_with_the_published_example() -> None:
    assert contrast_ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_a_hex_value_stands_in_one_module_only() -> None:
    root = Path(reporting.__file__).parent
    elsewhere = [
        path.name
        for path in root.rglob("*.py")
        if path.name != "tokens.py" and re.search(r"#[0-9a-fA-F]{6}\b", path.read_text(encoding="utf-8"))
    ]
    assert elsewhere == []
