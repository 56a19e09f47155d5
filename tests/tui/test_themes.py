"""Both themes can be read: every role that text comes in, on everything that it stands on."""

import pytest
from textual.color import Color

from tui.themes import DARK, LIGHT, THEMES, other

TEXT = ("foreground", "text-muted", "text-success", "text-warning", "text-error", "text-accent", "text-primary")
GROUNDS = ("background", "surface", "panel")


def contrast(one: Color, two: Color) -> float:
    """The contrast ratio of WCAG 2, 1 to 21."""

    def luminance(color: Color) -> float:
        red, green, blue = (
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(two)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXT)
def test_text_stands_out(theme, text, ground):
    variables = theme.to_color_system().generate()
    assert contrast(Color.parse(variables[text]), Color.parse(variables[ground])) >= 4.5


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_keys_in_the_footer_stand_out(theme):
    variables = theme.to_color_system().generate()
    ground = Color.parse(variables["footer-background"])
    for name in ("footer-key-foreground", "footer-description-foreground"):
        assert contrast(Color.parse(variables[name]), ground) >= 4.5


def test_the_switch_goes_back_and_forth():
    assert other(DARK.name) == LIGHT.name
    assert other(LIGHT.name) == DARK.name
    assert other("nord") == LIGHT.name
