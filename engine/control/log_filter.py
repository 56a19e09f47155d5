"""CloudWatch's filter patterns for unstructured lines: words, "phrases", ?either, -without. Pure.

All plain terms must occur; of those marked with ? at least one; of those marked with - none. Case counts. Patterns for
JSON (`{ … }`), for columns (`[ … ]`) and regular expressions (`%…%`) are refused.
"""

import re

from engine.model.base import Value
from engine.model.errors import invalid_request

_TERM = re.compile(r'\s*(?P<mark>[?-]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|(?P<word>\S+))')


class LogFilter(Value, frozen=True, kw_only=True):
    every: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def matches(self, text: str) -> bool:
        return (
            all(term in text for term in self.every)
            and (not self.either or any(term in text for term in self.either))
            and not any(term in text for term in self.without)
        )

    @property
    def hint(self) -> str:
        """Text that every match contains, for narrowing a search; "" for none. ASCII: its case folds as expected."""
        terms = (*self.every, *(self.either if len(self.either) == 1 else ()))
        return max((term for term in terms if term.isascii()), key=len, default="")


def parse_filter(pattern: str) -> LogFilter:
    """Raises EngineError (InvalidParameterException)."""
    text = pattern.strip()
    if text[:1] in {"{", "["} or text.startswith("%"):
        raise invalid_request(
            'Only words, "phrases", ?either and -without can be filtered by here: not JSON, columns or regular'
            " expressions."
        )
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            break
        phrase = match["phrase"]
        term = re.sub(r"\\(.)", r"\1", phrase) if phrase is not None else match["word"]
        if '"' in (match["word"] or "")[:1]:
            raise invalid_request("The filter pattern has a quotation mark that is not closed.")
        if term:
            terms[match["mark"]].append(term)
        at = match.end()
    return LogFilter(every=tuple(terms[""]), either=tuple(terms["?"]), without=tuple(terms["-"]))
