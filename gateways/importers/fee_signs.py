"""Whether costs are written above or below zero, by the columns of a whole file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from gateways.importers.cells import fee_columns
from gateways.importers.field_texts import NUMBERS_KEPT, plain_word
from gateways.importers.mapping import FeeSign
from gateways.importers.values import Question
from gateways.importers.values.number_survey import sign_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateways.importers.base import TableRow
    from gateways.importers.mapping import FeeSettings
    from gateways.importers.mapping import Mapping as FileMapping


class FeeSigns:
    """Counts the costs above and below zero; `columns` are those of the file.

    `doubts_sign`: the mapping's sign is a preset's, and is asked about if all costs would be rebates by it. Interest of
    a position goes both ways.
    """

    def __init__(
        self,
        mapping: FileMapping,
        columns: Mapping[str, int],
        is_empty: Callable[[str], bool],
        *,
        doubts_sign: bool = False,
    ) -> None:
        self._settings, self._is_empty = mapping.fees, is_empty
        named = fee_columns(mapping, columns)
        if mapping.fees.sign is not None:
            named = tuple(name for name in named if plain_word(name) != "swap") if doubts_sign else ()
        self._above, self._below = dict.fromkeys(named, 0), dict.fromkeys(named, 0)
        # What was looked at already: costs repeat from row to row.
        self._signs: dict[str, int] = {}

    @property
    def is_open(self) -> bool:
        """Whether there are columns to be looked at."""
        return bool(self._above)

    def take(self, row: TableRow) -> None:
        """Count the costs of a row."""
        for column in self._above:
            text = row.optional(column)
            if text is None:
                continue
            sign = self._signs.get(text)
            if sign is None:
                sign = 0 if self._is_empty(text) else sign_of(text)
                if len(self._signs) < NUMBERS_KEPT:
                    self._signs[text] = sign
            self._below[column] += sign < 0
            self._above[column] += sign > 0

    def settled(self) -> tuple[FeeSettings, Question | None]:
        """Return the table [fees] with what the file says of the sign, or with a question about it."""
        if not self.is_open:
            return self._settings, None
        text = self._question() if self._settings.sign is None else self._doubt(self._settings.sign)
        if text is not None:
            has_both = any(self._above.values()) and any(self._below.values())
            options = tuple(each for each in FeeSign if has_both or each is not FeeSign.ALWAYS_PAID)
            return self._settings, Question("fees.sign", text, (), options)
        # Where most costs are written above zero, the others are rebates.
        return replace(self._settings, sign=self._settings.sign or FeeSign.PAID_IS_POSITIVE), None

    def _question(self) -> str | None:
        above, below = sum(self._above.values()), sum(self._below.values())
        names = " + ".join(self._above)
        if below and not above:
            return f"column {names}: all {below:,} costs are below zero: were they paid, or are they rebates?"
        if above and below >= above:
            return f"column {names} has {below:,} costs below zero and {above:,} above: which were paid?"
        only_below = next((name for name in self._below if self._below[name] and not self._above[name]), None)
        if only_below is not None:
            return (
                f"column {only_below} has costs below zero only, and others above: were they rebates, or were all of "
                "them paid?"
            )
        return None

    def _doubt(self, stated: FeeSign) -> str | None:
        """Return a question about costs that would all be rebates by what a preset says of its export."""
        above, below = sum(self._above.values()), sum(self._below.values())
        paid, rebates = (below, above) if stated is FeeSign.PAID_IS_NEGATIVE else (above, below)
        if not rebates or paid:
            return None
        return (
            f"column {' + '.join(self._above)}: all {rebates:,} costs would be rebates, since this export writes costs "
            f"as {stated}: were they paid, or are they rebates?"
        )
