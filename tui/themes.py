"""Homerun's own themes. Everything else in the house names colours by these roles and never by value."""

from textual.theme import Theme

DARK = Theme(
    name="homerun",
    primary="#7aa2f7",
    secondary="#b48ead",
    accent="#5fd7ff",
    success="#7fd88f",
    warning="#f2c55c",
    error="#ff7a85",
    foreground="#d5dbe6",
    background="#0f131a",
    surface="#151a23",
    panel="#1d2430",
    dark=True,
    variables={
        "border": "#7aa2f7",
        "border-blurred": "#2f394a",
        "text-success": "#7fd88f",
        "text-warning": "#f2c55c",
        "text-error": "#ff7a85",
        "text-accent": "#5fd7ff",
        "text-primary": "#9db9fa",
        "text-muted": "#8a94a6",
        "footer-background": "#151a23",
        "footer-key-foreground": "#f2c55c",
        "footer-description-foreground": "#aab3c2",
        "block-cursor-background": "#2b3a5c",
        "block-cursor-foreground": "#f2f5fa",
        "block-cursor-blurred-background": "#1d2430",
        "block-cursor-blurred-foreground": "#d5dbe6",
        "input-cursor-background": "#d5dbe6",
        "input-selection-background": "#7aa2f7 35%",
        "scrollbar": "#2f394a",
        "scrollbar-hover": "#44526b",
        "scrollbar-active": "#7aa2f7",
        "scrollbar-background": "#0f131a",
        "scrollbar-background-hover": "#0f131a",
        "scrollbar-background-active": "#0f131a",
        "scrollbar-corner-color": "#0f131a",
    },
)

LIGHT = Theme(
    name="homerun-light",
    primary="#2457c5",
    secondary="#7a3e9d",
    accent="#00627a",
    success="#1b6e35",
    warning="#8a5a00",
    error="#b3202e",
    foreground="#1f2733",
    background="#fbfbf9",
    surface="#f1f2ef",
    panel="#e4e7e6",
    dark=False,
    variables={
        "border": "#2457c5",
        "border-blurred": "#c3c9d1",
        "text-success": "#1b6e35",
        "text-warning": "#8a5a00",
        "text-error": "#b3202e",
        "text-accent": "#00627a",
        "text-primary": "#2457c5",
        "text-muted": "#586273",
        "footer-background": "#e4e7e6",
        "footer-key-foreground": "#2457c5",
        "footer-description-foreground": "#3b4554",
        "block-cursor-background": "#cfdcf7",
        "block-cursor-foreground": "#10151d",
        "block-cursor-blurred-background": "#e4e7e6",
        "block-cursor-blurred-foreground": "#1f2733",
        "input-cursor-background": "#1f2733",
        "input-selection-background": "#2457c5 25%",
        "scrollbar": "#c3c9d1",
        "scrollbar-hover": "#a4adb9",
        "scrollbar-active": "#2457c5",
        "scrollbar-background": "#fbfbf9",
        "scrollbar-background-hover": "#fbfbf9",
        "scrollbar-background-active": "#fbfbf9",
        "scrollbar-corner-color": "#fbfbf9",
    },
)

THEMES = (DARK, LIGHT)


def other(theme: str) -> str:
    """The theme that the dark/light switch goes to from this one."""
    return LIGHT.name if theme != LIGHT.name else DARK.name
