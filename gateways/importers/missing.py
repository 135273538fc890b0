"""Choices that a file leaves open: all at once, each with the member of the mapping that answers it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from gateways.importers.base import BadRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateways.importers.values import Question

_UNSAFE = re.compile(r"""[\s&|;<>()$`"'*?\[\]{}#~!\\]""")


class MissingChoices(BadRow):
    """A file can be read in more than one way: `questions` has all that is missing, `answers` of the import give it.

    As a BadRow it names the first cell that a question is about, its line, column and value; the line is 0 if they are
    about the whole file.
    """

    def __init__(
        self, file: str, questions: Sequence[Question], cell: tuple[int, str, str] = (0, "", ""), why: str = ""
    ) -> None:
        self.questions = tuple(questions)
        line, column, value = cell
        super().__init__(file, line, column, value, why or questions[0].text)
        head = str(self) if line else file
        self.args = ("\n".join((f"{head}. {_counted(len(questions))}", *map(sentence, questions))),)


class InvalidAnswer(InvalidEvent):
    """An answer is none: the mapping has no such member, or the member has no such value."""


def _quoted(text: str) -> str:
    """Return a text as a word of a command: in quotes if a shell would read it otherwise."""
    return shlex.quote(text) if _UNSAFE.search(text) else text


def _counted(number: int) -> str:
    return "A choice is missing:" if number == 1 else f"{number} choices are missing:"


def sentence(question: Question) -> str:
    """Return a question as text: what is missing, what was found, and how it is answered."""
    options = [f"--set {_quoted(f'{question.key}={option}')}" for option in question.options or ("…",)]
    return f"{what_is_missing(question)} Answer with {' or '.join(options)}"


def what_is_missing(question: Question) -> str:
    """Return a question as text without how it is answered."""
    found = f" Found: {', '.join(question.found)}." if question.found else ""
    end = "" if question.text.endswith("?") else "."
    return f"{question.key}: {question.text}{end}{found}"
