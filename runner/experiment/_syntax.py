"""Why a text is no YAML, in words, and in which line."""

import re
from typing import Any


def in_words(error: BaseException, text: str) -> tuple[str, int | None]:
    """Return what is wrong and the way out, and the line where it is to be mended, from 1.

    Args:
        error: as PyYAML raised it.
        text: what it read.
    """
    problem, context = (getattr(error, part, None) or "" for part in ("problem", "context"))
    at, opened = (_line(getattr(error, f"{kind}_mark", None)) for kind in ("problem", "context"))
    lines = text.splitlines()
    here = lines[at - 1] if at and at <= len(lines) else ""
    if "'\\t'" in problem:
        return "a tab stands here; indent with spaces", at
    if "mapping values are not allowed" in problem:
        return _second_value(lines, at, here)
    if "could not find expected ':'" in problem and opened:
        wrong = lines[opened - 1].strip()
        space = ": a space is missing after the `:`" if re.match(r"\S+:\S", wrong) else ""
        return f"`{wrong}` is no `key: value`{space}", opened
    if "while scanning a" in context and "quoted scalar" in context:
        if "escape" in problem:
            why = "`\\` begins an escape in double quotes; use single quotes, or `\\\\`"
            return why, at
        return "the quote that opens here is not closed", opened
    if "flow" in context and "expected ',' or" in problem:
        what = "[" if "sequence" in context else "{"
        return f"the `{what}` that opens here is not closed, or a comma is missing", opened
    if "expected <block end>" in problem or "expected '<document start>'" in problem:
        return _of_block(problem), at
    return _else(error, problem), at


def _second_value(lines: list[str], at: int | None, here: str) -> tuple[str, int | None]:
    """A `: ` where none can stand."""
    before = lines[at - 2].strip() if at and at > 1 else ""
    if re.fullmatch(r"[\w-]+:[^\s:]\S*", before):
        return f"`{before}` is no `key: value`: a space is missing after the `:`", at and at - 1
    if len(re.findall(r":(?= |$)", here)) > 1:
        return "a second `: ` in one line; put the text in quotes, or begin a new line", at
    deeper = "this line is indented deeper than the one above it, which has a value"
    return f"{deeper}; put keys of one block at one depth", at


def _of_block(problem: str) -> str:
    if problem.endswith("found '-'"):
        return "a list item `- ` stands among keys; indent it below the key that it is of"
    if problem.endswith("found '<scalar>'"):
        return "text follows a closing quote; inside of '...' a quote is written twice: 'it''s'"
    return "the indentation of this line fits none of the lines above it"


def _else(error: BaseException, problem: str) -> str:
    if found := re.search(
        r"found character '(.)' that cannot start|content, but found '(.)'", problem
    ):
        return f"a value cannot begin with `{found[1] or found[2]}`; put it in quotes"
    if found := re.search(r"undefined alias '(.*)'", problem):
        return f"there is no `&{found[1]}` that `*{found[1]}` could stand for; put a text in quotes"
    if "another document" in problem:
        return "a second document begins here (`---`); one file is one configuration"
    if "special characters are not allowed" in str(error):
        return "a character stands here that no text has; is it a text file?"
    if "unhashable key" in problem:
        return "a list or a mapping cannot be a key"
    if "could not determine a constructor" in problem:
        return f"{problem}; leave the tag out"
    return problem or " ".join(str(error).split())


def _line(mark: Any) -> int | None:
    """The line of a mark of PyYAML's, from 1."""
    return None if mark is None else mark.line + 1
