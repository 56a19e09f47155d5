"""What other programs printed, made safe to show: no control sequence of theirs ever reaches the terminal."""

import re

_TAB_SIZE = 8

# Each branch takes everything that belongs to its sequence and also matches a truncated one, so one pass over the
# text leaves no introducer behind. ECMA-48's 7-bit (ESC x) and 8-bit (C1) forms are both understood.
_SEQUENCE = re.compile(
    r"""
      (?:\x1b\[|\x9b) [\x30-\x3f]* [\x20-\x2f]* [\x40-\x7e]?                    # CSI: colours, cursor, modes
    | (?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f]) [^\x07\x18\x1a\x1b\x9c]*          # OSC, DCS, SOS, PM, APC ...
      (?:\x07|\x1b\\|\x9c|\x18|\x1a)?                                           # ... to their end, or to the line's
    | \x1b [\x20-\x2f]+ [\x30-\x7e]?                                            # character sets and the like
    | \x1b [\x30-\x7e]?                                                         # everything else after an ESC
    """,
    re.VERBOSE,
)

# Unicode's format characters (Cf): drawn as nothing, yet they reorder, join or hide what stands around them.
_INVISIBLE = (
    (0x00AD, 0x00AD),
    (0x0600, 0x0605),
    (0x061C, 0x061C),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE007F),
)

_FORMS: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), None),
    **dict.fromkeys((code for first, last in _INVISIBLE for code in range(first, last + 1)), None),
    **dict.fromkeys(map(ord, "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"), " "),
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),  # a lone surrogate cannot be encoded
}
del _FORMS[ord("\t")]  # expanded last, when everything invisible is gone and columns are right


def clean(text: str) -> str:
    """The text as one line that is safe to draw; ordinary text comes back as it is.

    Escape sequences are removed whole, line breaks become spaces, tabs are expanded to columns of 8, invisible and
    text-reordering characters go, lone surrogates become U+FFFD. Linear in time, `clean(clean(x)) == clean(x)`.
    """
    if text.isprintable():
        return text
    text = text.rstrip("\r\n")
    return _SEQUENCE.sub("", text).translate(_FORMS).expandtabs(_TAB_SIZE)


def clean_lines(text: str) -> str:
    """Like `clean`, for text of several lines: its line breaks stay, as line feeds."""
    return "\n".join(clean(line) for line in text.replace("\r\n", "\n").split("\n"))
