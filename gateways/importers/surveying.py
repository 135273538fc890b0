"""The first pass over a table: what its whole columns say, and what must be asked because they do not."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from eventstore.errors import UnknownContract
from gateways.importers.base import BadRow
from gateways.importers.cells import fee_columns
from gateways.importers.doubtful_commas import DoubtfulCommas
from gateways.importers.fee_signs import FeeSigns
from gateways.importers.field_texts import NUMBERS_KEPT, FieldTexts
from gateways.importers.file_options import STEP, SURVEYING
from gateways.importers.filled_parts import FilledParts
from gateways.importers.mapping import KindOfRow
from gateways.importers.rows_that_count import RowsThatCount
from gateways.importers.texts import CellError
from gateways.importers.unmentioned import is_day, with_currency
from gateways.importers.values import ColumnSummary, Numbers, Question, Time, infer_numbers, infer_time, is_complete
from gateways.importers.values.number_survey import sign_of
from gateways.importers.words_asked import SeenWords, questions_of_words
from gateways.importers.zone_columns import ZoneColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateways.importers.base import TableRow
    from gateways.importers.containers import Table
    from gateways.importers.contract_names import ContractNames
    from gateways.importers.file_options import Progress
    from gateways.importers.mapping import Mapping as FileMapping

WORDS_MAX = 40
SYMBOLS_MAX = 1_000
TIMES = (
    *("time", "entry_time", "exit_time", "buy_time", "sell_time"),
    *("filled_at", "canceled_at", "triggered_at"),
)
NUMBERS = (
    *("quantity", "price", "entry_price", "exit_price", "buy_price", "sell_price", "limit_price", "stop_price"),
    *("filled_quantity", "average_price", "balance", "available", "frozen", "margin", "amount", "pnl"),
)
_DIGIT = re.compile(r"\d", re.ASCII)
# Three digits after the only point of a number without a leading zero may be thousands.
_DOUBTFUL = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII)


class AskedAt(NamedTuple):
    """A question, with the first cell that it is about: line 0 where it is about the whole file."""

    question: Question
    line: int = 0
    column: str = ""
    value: str = ""
    why: str = ""


class Settled(NamedTuple):
    """What a survey found: the mapping with what the file says, what it leaves open, and the number of rows.

    `only_days`: no time of the rows has a time of day.
    """

    mapping: FileMapping
    asked: Sequence[AskedAt]
    rows: int
    only_days: bool


class Survey:
    """One pass over the rows of a table that count, in bounded memory; a second one if its numbers must be asked about.

    `mentioned` are the columns that any mapping of the table names.
    """

    def __init__(
        self,
        mapping: FileMapping,
        table: Table,
        mentioned: frozenset[str],
        contracts: ContractNames,
        *,
        keep_going: bool,
        doubts_sign: bool = False,
        doubts_commas: bool = False,
    ) -> None:
        self._mapping, self._table, self._contracts, self._keep_going = mapping, table, contracts, keep_going
        self._texts = FieldTexts(mapping, table.columns)
        self._filter = RowsThatCount(mapping, table.columns)
        self._times = [] if is_complete(mapping.time) else [name for name in TIMES if self._texts.has(name)]
        self._time = ColumnSummary(name=" + ".join(self._texts.label(name) for name in self._times), about="times")
        self._words = {name: Counter[str]() for name in table.columns if name not in mentioned}
        self._many: dict[str, Counter[str]] = {}
        is_execution = mapping.rows.kind is KindOfRow.EXECUTION
        self._zone = ZoneColumn(self._texts, self._words, TIMES)
        self._filled = FilledParts(self._texts, self._words if is_execution else ())
        self._sides: Counter[str] = Counter()
        self._symbols: dict[str, tuple[int, str]] = {}
        # Whether all times so far are days alone; None before the first.
        self._only_days: bool | None = None
        self._is_signed = False
        self._numbers = Numbers() if mapping.numbers is None else mapping.numbers
        self._fees = FeeSigns(mapping, table.columns, self._numbers.is_empty, doubts_sign=doubts_sign)
        self._number = self._texts.number
        self._unread: list[AskedAt] = []
        self._count = 0
        self._number_fields = [(field, self._texts.label(field)) for field in NUMBERS if self._texts.has(field)]
        self._costs = fee_columns(mapping, table.columns)
        self._is_open = None in {self._numbers.decimal, self._numbers.thousands}
        self._commas = DoubtfulCommas(self._numbers, is_doubted=doubts_commas)
        self._doubtful: Counter[str] = Counter()
        self._certain: Counter[str] = Counter()
        # What was looked at already: quantities, prices and costs repeat from row to row.
        self._known = {column: set[str]() for column in self._number_names()}

    def run(self, progress: Progress | None = None) -> Settled:
        """Read the table; return the mapping with what it says, and the questions that are left."""
        takes = self._takers()
        is_empty = True
        for row in self._filter.those_of(self._counted(progress)):
            is_empty = False
            try:
                for take in takes:
                    take(row)
            except BadRow:
                # The second pass refuses it.
                continue
        asked: list[AskedAt] = [] if is_empty else self._about_cash()
        mapping = self._with_numbers(self._mapping, asked)
        asked += [AskedAt(*found)] if (found := self._commas.question()) is not None else []
        mapping = self._with_time(mapping, asked)
        if (zone := self._zone.question(mapping.time)) is not None:
            asked = [*(each for each in asked if each.question.key != zone.key), AskedAt(zone)]
        mapping = with_currency(self._with_fees(mapping, asked), self._words)
        asked += self._about_words()
        asked += self._about_contracts()
        only_days = bool(self._only_days) or mapping.time.has_only_days
        return Settled(mapping, asked, self._count, only_days)

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows that count; what cannot be read at all is refused by the second pass."""
        return self._filter.those_of(self._table.rows())

    def _counted(self, progress: Progress | None) -> Iterator[TableRow]:
        """Yield all rows, and count them."""
        for row in self._table.rows():
            self._count += 1
            if progress is not None and self._count % STEP == 0:
                progress(SURVEYING, self._count, None)
            yield row

    def _takers(self) -> list[Callable[[TableRow], None]]:
        """Return what looks at each row: nothing is gathered that the mapping says already."""
        needed = (
            (bool(self._words), self._take_words),
            (self._texts.has("side"), self._take_side),
            (self._texts.has("symbol") and self._mapping.contract.default is None, self._take_symbol),
            (bool(self._times), self._take_times),
            (self._texts.has("time"), self._take_day),
            (self._texts.has("quantity") and not self._texts.has("side"), self._take_sign),
            (self._is_open, self._take_numbers),
            (self._fees.is_open, self._fees.take),
            (self._commas.is_open, self._take_commas),
            (self._filled.is_open, self._filled.take),
            (self._zone.is_open, self._zone.take),
        )
        return [take for is_needed, take in needed if is_needed]

    # One row

    def _take_words(self, row: TableRow) -> None:
        for name, words in list(self._words.items()):
            words[row.optional(name) or ""] += 1
            if len(words) > WORDS_MAX:
                # Too many to be statuses.
                self._many[name] = self._words.pop(name)

    def _take_side(self, row: TableRow) -> None:
        word = self._texts.optional(row, "side") or ""
        if word in self._sides or len(self._sides) < WORDS_MAX:
            self._sides[word] += 1

    def _take_symbol(self, row: TableRow) -> None:
        text = self._texts.optional(row, "symbol")
        if text is not None and text not in self._symbols and len(self._symbols) < SYMBOLS_MAX:
            self._symbols[text] = (row.line, self._texts.label("symbol"))

    def _take_times(self, row: TableRow) -> None:
        for field in self._times:
            text = self._texts.optional(row, field)
            # A text without a digit is not a time in any format: the row is refused.
            if text is not None and _DIGIT.search(text):
                self._time.take(text)

    def _take_day(self, row: TableRow) -> None:
        if self._only_days is not False:
            text = self._texts.optional(row, "time")
            if text is not None:
                self._only_days = is_day(text)

    def _take_sign(self, row: TableRow) -> None:
        if not self._is_signed:
            self._is_signed = sign_of(self._texts.optional(row, "quantity") or "") < 0

    def _take_numbers(self, row: TableRow) -> None:
        for column, text in self._numbers_of(row):
            known = self._known[column]
            if text in known:
                continue
            if len(known) < NUMBERS_KEPT:
                known.add(text)
            if "." in text:
                (self._doubtful if _DOUBTFUL.fullmatch(text) else self._certain)[column] += 1
            try:
                self._number(text)
            except CellError as e:
                if not self._unread and not self._numbers.is_empty(text):
                    self._unread.append(AskedAt(Question("", ""), row.line, column, text, str(e)))

    def _take_commas(self, row: TableRow) -> None:
        if self._commas.is_open:
            self._commas.take(row.line, self._numbers_of(row))

    def _numbers_of(self, row: TableRow) -> Iterator[tuple[str, str]]:
        for field, label in self._number_fields:
            text = self._texts.optional(row, field)
            if text is not None:
                yield label, text
        for column in self._costs:
            text = row.optional(column)
            if text is not None:
                yield column, text

    # The whole table

    def _with_numbers(self, mapping: FileMapping, asked: list[AskedAt]) -> FileMapping:
        if not self._is_open:
            return mapping
        is_stated = mapping.numbers is not None
        doubtful = [name for name in self._doubtful if not self._certain[name]] if not is_stated else []
        # Rows with numbers that cannot be read may be left out; what may be read in two ways may not.
        unread = [] if self._keep_going and not is_stated else self._unread
        if not (is_stated or unread or doubtful):
            return mapping
        summary = self._number_summary()
        found, questions = infer_numbers(summary, mapping.numbers)
        if is_stated:
            asked += [self._about(each, self._unread) for each in questions]
            return replace(mapping, numbers=found)
        if unread:
            asked += [self._about(each, unread) for each in questions or _differences(found, summary.name)]
        elif questions:
            asked += [AskedAt(each) for each in questions]
        return mapping

    def _number_summary(self) -> ColumnSummary:
        """Read the table again, for its numbers only; texts without a digit are refused cell by cell."""
        summary = ColumnSummary(name=" + ".join(dict.fromkeys(self._number_names())))
        for row in self.rows():
            with contextlib.suppress(BadRow):
                for _, text in self._numbers_of(row):
                    if _DIGIT.search(text):
                        summary.take(text)
        return summary

    def _number_names(self) -> Iterator[str]:
        yield from (label for _, label in self._number_fields)
        yield from self._costs

    @staticmethod
    def _about(question: Question, cells: Sequence[AskedAt]) -> AskedAt:
        return cells[0]._replace(question=question) if cells else AskedAt(question)

    def _with_time(self, mapping: FileMapping, asked: list[AskedAt]) -> FileMapping:
        if not self._times or not self._time.filled:
            return mapping
        found, questions = infer_time(self._time, mapping.time)
        asked += [self._first_unreadable(each, found) for each in questions]
        return replace(mapping, time=found)

    def _first_unreadable(self, question: Question, time: Time) -> AskedAt:
        """Return a question about times with the first cell that cannot be read without an answer."""
        parse = time.parser()
        for row in self.rows():
            for field in self._times:
                with contextlib.suppress(BadRow):
                    text = self._texts.optional(row, field)
                    if text is None or not _DIGIT.search(text):
                        continue
                    try:
                        parse(text)
                    except CellError as e:
                        return AskedAt(question, row.line, self._texts.label(field), text, str(e))
        return AskedAt(question)

    def _with_fees(self, mapping: FileMapping, asked: list[AskedAt]) -> FileMapping:
        fees, question = self._fees.settled()
        asked += [] if question is None else [AskedAt(question)]
        return replace(mapping, fees=fees)

    def _about_cash(self) -> list[AskedAt]:
        """Ask for the currency of cash that neither the mapping nor a column states."""
        mapping = self._mapping
        if mapping.rows.kind is not KindOfRow.CASH or mapping.cash.currency is not None or self._texts.has("currency"):
            return []
        return [
            AskedAt(Question("cash.currency", "movements of cash, and no column has their currency: give its code"))
        ]

    def _about_words(self) -> Iterator[AskedAt]:
        seen = SeenWords(self._words, self._many, self._sides, bool(self._only_days), self._is_signed)
        yield from map(AskedAt, questions_of_words(self._mapping, self._texts, seen))
        yield from map(AskedAt, self._filled.questions())

    def _about_contracts(self) -> Iterator[AskedAt]:
        if self._keep_going:
            return
        missing: list[tuple[str, int, str, str]] = []
        for text, (line, column) in self._symbols.items():
            try:
                self._contracts.find(text, spelling=self._mapping.contract.spelling)
            except UnknownContract as e:
                missing.append((text, line, column, str(e)))
        if missing:
            text, line, column, why = missing[0]
            question = Question(
                "contract.default.asset",
                f"{why}. A share, a coin or a currency pair has multiplier 1 and a currency: say which these are",
                tuple(each[0] for each in missing[:WORDS_MAX]),
                ("STOCK", "CRYPTO", "FX"),
            )
            yield AskedAt(question, line, column, text, why)


def _differences(found: Numbers, name: str) -> list[Question]:
    """Return a question for each thing that the whole of the numbers says, and nobody has stated."""
    plain = Numbers()
    text = f"column {name}: the numbers are not plain ones like -1234.50; all of them would fit this"
    questions = []
    for member in ("decimal", "thousands", "strip", "brackets", "fractions"):
        value = getattr(found, member)
        if value in {getattr(plain, member), None, "", ()} or (member, value) in {
            ("decimal", "."),
            ("fractions", "none"),
        }:
            continue
        shown = value if isinstance(value, str) else ",".join(value)
        questions.append(Question(f"numbers.{member}", text, (), (shown,)))
    return questions
