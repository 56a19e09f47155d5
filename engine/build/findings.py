"""What reading a configuration file brings to light: problems that refuse it, habits that are understood."""

from collections.abc import Mapping
from typing import Any

import yaml

from engine.build.private_lines import private_lines, without_value
from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind

_SHOWN_PROBLEMS = 12
_MOST = 200
"""Problems or notices that are kept; a file with more is no configuration."""
_SHOWN_COLUMNS = 160
_SHOWN_TEXT = 60


class Problem(Value, frozen=True, kw_only=True):
    """One thing that is wrong in the file."""

    line: int
    """1-based; 0 when the problem is something that is not there."""
    text: str
    """What was found and what is allowed: a sentence without its full stop."""
    fix: dict[str, Any] = {}
    """The corrected part of the file as plain data; the fixes of all problems are merged into one snippet."""
    advice: str = ""
    """What to do when no snippet says it."""
    mended: str = ""
    """The offending line as it should be, indentation included, when its place in the file is not known."""


class ProblemError(Exception):
    """A problem that ends the reading at once: what follows it in the file cannot be trusted."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Findings:
    """Collects while a file is read. One instance per reading."""

    def __init__(self, file: str, *, strict: bool) -> None:
        self.file = file
        self.strict = strict
        self.problems: list[Problem] = []
        self._notices: list[tuple[int, str]] = []

    def refuse(self, line: int, text: str, *, fix: dict[str, Any] | None = None, advice: str = "") -> None:
        if len(self.problems) < _MOST:
            self.problems.append(Problem(line=line, text=text, fix=fix or {}, advice=advice))

    def notice(self, line: int, sentences: str) -> None:
        """Say what is done although App Runner would not; nothing when strict."""
        if not self.strict and len(self._notices) < _MOST:
            self._notices.append((line, f"{_place(self.file, line)}: {sentences}"))

    @property
    def notices(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(text for _, text in sorted(self._notices, key=lambda notice: notice[0]))

    def understand(
        self, line: int, found: str, *, meant: str, allowed: str, fix: dict[str, Any] | None = None, advice: str = ""
    ) -> bool:
        """A mistake with one obvious meaning: True with a notice, or False with a refusal when strict."""
        if self.strict:
            self.refuse(line, f"{found}; {allowed}", fix=fix, advice=advice)
            return False
        self.notice(line, f"{found}; {meant}. App Runner itself refuses this.")
        return True


def refusal(file: str, problems: list[Problem], lines: tuple[str, ...]) -> DeployError:
    """All problems as one failure: the first in the message, its lines and the other problems as evidence.

    The values of variables and secrets are left out of the lines.
    """
    ordered = sorted(problems, key=lambda problem: problem.line or len(lines) + 1)
    first, others = ordered[0], ordered[1:]
    private = private_lines(lines)
    more = f" (and {len(others)} more problem{'s' if len(others) > 1 else ''})" if others else ""
    evidence = [*_source(first, lines, private)]
    for problem in others[:_SHOWN_PROBLEMS]:
        evidence.append(f"{_place(file, problem.line)}: {problem.text}.")
        evidence.extend(_source(problem, lines, private))
    return DeployError.of(
        FailureKind.CONFIG,
        f"{_place(file, first.line)}: {first.text}{more}.",
        evidence=tuple(evidence),
        hint=_hint(ordered, private),
    )


def shown(text: str) -> str:
    """Text of the file inside a sentence: quoted, on one line, cut to a readable length."""
    cut = text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"
    quote = "'" if '"' in cut else '"'
    return quote + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + quote


def snippet(data: Mapping[str, Any]) -> str:
    """Plain data as YAML to paste into an apprunner.yaml."""
    text: str = yaml.dump(
        dict(data), Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=10_000
    )
    return text.rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """Lists are indented under their key, as people write them; nothing is abbreviated to an alias."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's name
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's name
        return True


def _place(file: str, line: int) -> str:
    return f"{file} line {line}" if line else file


def _source(problem: Problem, lines: tuple[str, ...], private: frozenset[int]) -> list[str]:
    if not 0 < problem.line <= len(lines):
        return []
    text = lines[problem.line - 1].rstrip()
    quoted = without_value(text) if problem.line in private else text
    return [f"{problem.line:>4} | {quoted[:_SHOWN_COLUMNS]}"]


def _hint(problems: list[Problem], private: frozenset[int]) -> str:
    fixed: dict[str, Any] = {}
    comments: list[str] = []
    for problem in problems:
        _merge(fixed, problem.fix)
        if problem.advice and (comment := f"# {problem.advice}") not in comments:
            comments.append(comment)
    mended = [problem.mended for problem in problems if problem.mended and problem.line not in private]
    return "\n".join([*comments[:_SHOWN_PROBLEMS], *mended, *([snippet(fixed)] if fixed else [])])


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        mine = into.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            _merge(mine, value)
        elif mine is None:
            into[key] = dict(value) if isinstance(value, dict) else value
