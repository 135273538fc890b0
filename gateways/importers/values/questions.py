"""What a file does not say and the user must: the question, what was found, and the possible answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN_MAX = 8
"""The number of values that a question shows."""
FOUND_MAX = 5
"""The same of texts that are shown without their counts."""


class Question(msgspec.Struct, frozen=True):
    """A choice that is missing.

    `key` is the member of the mapping that answers it, for example `time.zone`. `text` says what is missing and why.
    `found` are values that the file has, with their counts; `options` are possible answers, empty if any text may be
    one.
    """

    key: str
    text: str
    found: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def counted(found: Mapping[str, int]) -> tuple[str, ...]:
    """Return values with their counts, the most frequent first, at most SHOWN_MAX of them."""
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{value} ({count:,})" for value, count in ordered[:SHOWN_MAX]]
    return (*shown, f"and {len(ordered) - SHOWN_MAX} more") if len(ordered) > SHOWN_MAX else tuple(shown)
