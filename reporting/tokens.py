"""The colours, type and spacing of everything that is drawn: the one place where a hex value stands.

Two palettes carry the same names. Text colours keep a contrast of at least 4.5:1 on panel and background, series
colours are told apart by colour-blind readers, and no meaning rests on colour alone.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CAPTION_SIZE",
    "DARK",
    "FONT_FAMILY",
    "LIGHT",
    "RADIUS",
    "SECTION_SIZE",
    "STEP",
    "TEXT_SIZE",
    "TITLE_SIZE",
    "Palette",
    "Theme",
    "contrast_ratio",
    "palette",
    "translucent",
]

Theme = Literal["light", "dark"]

FONT_FAMILY = (
    '-apple-system, "Segoe UI", "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", '
    "system-ui, sans-serif"
)
TITLE_SIZE, SECTION_SIZE, TEXT_SIZE, CAPTION_SIZE = 22, 14, 14, 12
STEP = 4
RADIUS = 12


@dataclass(frozen=True)
class Palette:
    """The colours of one theme, named for what they mean.

    `series` are for marks (lines, bars), in the order of use; `series_text` are the same hues, dark or light enough to
    be read as letters; `on_brand` is for letters on the brand colour.
    """

    background: str
    panel: str
    ink: str
    line: str
    brand: str
    brand_soft: str
    on_brand: str
    good: str
    watch: str
    bad: str
    muted: str
    series: tuple[str, ...]
    series_text: tuple[str, ...]

    @property
    def reference(self) -> str:
        """What the model was built on, wherever it is drawn beside what came later."""
        return self.series[6]

    @property
    def current(self) -> str:
        """What is being looked at now."""
        return self.series[0]

    @property
    def good_class(self) -> str:
        """Cases that turned out good."""
        return self.series[0]

    @property
    def bad_class(self) -> str:
        """Cases that turned out bad."""
        return self.series[3]


LIGHT = Palette(
    background="#f7f8fa",
    panel="#ffffff",
    ink="#1b2430",
    line="#e4e7ec",
    brand="#1f5eff",
    brand_soft="#eef3ff",
    on_brand="#ffffff",
    good="#0a7550",
    watch="#8f5400",
    bad="#c2334d",
    muted="#5d6777",
    series=("#1f5eff", "#e8a33d", "#0f8a5f", "#c2334d", "#7a5af8", "#0e9384", "#98a2b3"),
    series_text=("#1f5eff", "#8f5400", "#0a7550", "#c2334d", "#6b4be0", "#0b766a", "#5d6777"),
)

DARK = Palette(
    background="#0e131a",
    panel="#161d27",
    ink="#e9edf3",
    line="#2a3441",
    brand="#7da2ff",
    brand_soft="#1c2a4a",
    on_brand="#0e131a",
    good="#4cc796",
    watch="#e8b35e",
    bad="#f58397",
    muted="#a1acba",
    series=("#6c96ff", "#e8a33d", "#36b98a", "#f0657f", "#a48bff", "#2fbcae", "#7f8b9b"),
    series_text=("#7da2ff", "#e8b35e", "#4cc796", "#f58397", "#b29dff", "#45c9bb", "#a1acba"),
)


def palette(theme: str = "light") -> Palette:
    """Return the palette of `theme` (``"light"`` or ``"dark"``).

    Examples
    --------
    >>> palette("light").ink
    '#1b2430'
    """
    return {"light": LIGHT, "dark": DARK}[theme]


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast_ratio(first: str, second: str) -> float:
    """Return the contrast of two ``#rrggbb`` colours, 1 (none) to 21, after WCAG 2.

    Examples
    --------
    >>> contrast_ratio("#000000", "#ffffff")
    21.0
    """
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def translucent(color: str, alpha: float) -> str:
    """Return ``#rrggbb`` as an ``rgba(...)`` of opacity `alpha` (0 to 1).

    Examples
    --------
    >>> translucent("#1f5eff", 0.15)
    'rgba(31, 94, 255, 0.15)'
    """
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha:g})"
