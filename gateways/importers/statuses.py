"""Columns that look as if they said which rows count, and that the mapping does not mention."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateways.importers.cells import side_of, sides_of
from gateways.importers.field_texts import letters_of, plain_word
from gateways.importers.mapping import KindOfRow
from gateways.importers.values import Question
from gateways.importers.values.questions import FOUND_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateways.importers.mapping import Mapping as FileMapping

NAMES = frozenset({
    "status", "state", "type", "kind", "operation", "action type", "transaction type", "trade type", "row type",
    "record type", "order status", "trade status", "fill status", "execution status", "ord status", "ordstatus",
    "exec type", "event", "event type", "levelofdetail", "level of detail", "datadiscriminator", "transactiontype",
    "notes/codes", "is void", "isvoid", "void", "voided", "cancelled", "canceled", "deleted", "active",
})  # fmt: skip
"""Names of columns that say what a row is, without spaces at their ends, in lower case, `_` as a space."""
SUSPECT = frozenset({
    "void", "voided", "cancel", "canceled", "cancelled", "cancelled by user", "rejected", "reject", "expired", "failed",
    "pending", "working", "open order", "deleted", "busted", "bust", "corrected", "correction", "reversed", "reversal",
    "deposit", "withdrawal", "withdraw", "transfer", "transfer in", "transfer out", "balance", "credit", "dividend",
    "dividends", "interest", "staking", "staking reward", "reward", "rewards", "airdrop", "distributed", "distribution",
    "funding", "funding fee", "fee", "rebate", "commission", "subtotal", "total", "rollover", "adjustment", "payout",
    "closed_lot", "closedlot", "closed lot", "wash_sale", "washsale", "symbol_summary", "asset_summary", "summary",
    "settlement", "tradecancel", "trade cancel", "canceled by trader", "inactive", "suspended", "convert", "conversion",
    "send", "receive", "tax", "withholding", "liquidation", "new", "replaced", "pending_cancel", "pending cancel",
    "partially canceled", "not filled", "unfilled", "deposited", "withdrawn", "credit interest", "payment in lieu",
    "split", "stock split", "reverse split", "assignment", "exercise", "expiration", "assigned", "exercised", "expire",
    "merger", "spinoff", "lot", "lots", "order",
})  # fmt: skip
"""Words that say that a row is not an execution, or not certainly one."""
HARMLESS = frozenset({
    "filled", "fill", "executed", "execution", "completed", "complete", "closed", "done", "ok", "success", "trade",
    "exchtrade", "booktrade", "settled", "confirmed", "partially filled", "partial fill", "traded", "matched",
    "fracshare",
    "market", "limit", "stop", "stop limit", "stoplimit", "stop market", "stopmarket", "trailing stop", "mkt", "lmt",
    "stp", "trailingstop", "market order", "limit order", "long", "short", "buy", "sell", "future", "futures", "fut",
    "stock", "stocks", "stk", "option", "options", "opt", "forex", "crypto", "spot", "swap", "perpetual", "perp", "fx",
    "call", "put", "equity", "etf", "entry", "exit", "open", "close", "maker", "taker", "day", "gtc", "yes", "no",
    "true", "false", "1", "0", "",
})  # fmt: skip
"""Words beside which nothing need be asked in a column of such a name."""
_COSTS = re.compile(
    r"(?:.* )?(?:fees?|comms?|commissions?|ibcommission|brokerage|swap|taxe?s?|costs?)(?: (?:amount|paid|usd|cost))?"
)
_UNDONE = frozenset({
    "void", "voided", "cancel", "canceled", "cancelled", "cxl", "cxld", "bust", "busted", "rejected", "failed",
    "pending", "reversed", "deleted", "storno", "storniert", "abgelehnt", "annulé", "annulée", "rejeté", "rejetée",
    "cancelado", "cancelada", "anulada", "anulado", "rechazada", "annullato", "geannuleerd",
})  # fmt: skip
"""Words that say of a row, alone or within a sentence, that what it has did not happen or does not count."""
_FLAGS = frozenset({
    "void", "voided", "cancel", "cancelled", "canceled", "cxl", "cxld", "deleted", "bust", "busted", "rejected",
    "removed", "reversed", "reversal", "correction", "corrected",
})  # fmt: skip
"""Words in the name of a column that says of a row whether it does not count."""
_OTHERS = frozenset({"simulated", "simulation", "paper", "demo", "summary"})
"""Words in the name of a column that says of some rows of a file that they are of another kind than the others."""
_STATUSES = frozenset({"status", "statut", "estado", "stato", "zustand"})
"""Words in the name of a column of statuses."""
_VALID, _YES = frozenset({"active", "is active", "valid", "is valid"}), frozenset({"", "1", "yes", "true", "y"})
_NO = frozenset({"", "0", "no", "false", "n"})
_CODES, _NOT_COUNTED = frozenset({"code", "codes", "notes/codes"}), frozenset({"ca", "co"})
"""Interactive Brokers' columns of codes, and its codes of cancelled and corrected trades."""
_TOKEN, _HUMP = re.compile(r"[^\W_]+"), re.compile(r"(?<=[a-z])(?=[A-Z])")


def question_of(
    column: str, words: Mapping[str, int], kind: KindOfRow, aside: Sequence[str] | None = None
) -> Question | None:
    """Return a question about a column of which the mapping does not say which rows count; None if it is clear.

    `kind` is that of the rows: a movement of cash, an order and a snapshot are what such words say. `aside` are words
    of the column that the mapping sets aside already: these are what is left.
    """
    plain = {plain_word(word) for word in words}
    if kind is not KindOfRow.EXECUTION and kind is not KindOfRow.ROUND_TRIP and kind is not KindOfRow.MATCHED_PAIR:
        is_open = kind is KindOfRow.CASH and bool(plain & _UNDONE)
        return _question(column, words, "has rows that did not happen") if is_open else None
    if aside is not None:
        return _question_of_rest(column, words, aside)
    is_open = _may_not_count(column, plain)
    return _question(column, words, "looks as if it said which rows count") if is_open else None


def _question_of_rest(column: str, words: Mapping[str, int], aside: Sequence[str]) -> Question | None:
    doubtful = [word for word in words if _is_doubtful({plain_word(word)})]
    if not doubtful:
        return None
    text = (
        f"column {column} has rows that may not count, beside those that are set aside: name these too, with commas. "
        "If they count, name the column in rows.ignore"
    )
    return Question(f"rows.aside.{column}", text, _counted(words), (",".join((*aside, *doubtful)),))


def _may_not_count(column: str, plain: set[str]) -> bool:
    """Return whether a column with these words may say of some rows that they do not count."""
    name = plain_word(_HUMP.sub(" ", column.replace("_", " ")))
    tokens = set(_TOKEN.findall(name))
    if tokens & _FLAGS:
        return bool(plain - _NO)
    if tokens & _OTHERS:
        return bool(plain - _NO) and len(plain) > 1
    if name in _VALID:
        return bool(plain - _YES)
    if name in _CODES:
        return _has(plain, _NOT_COUNTED)
    if tokens & _STATUSES or name in NAMES or name.replace(" ", "") in NAMES or name.endswith(" state"):
        return bool(plain - HARMLESS)
    return (bool(plain & SUSPECT) and len(plain) > 1) or _has(plain, _UNDONE)


def _is_doubtful(plain: set[str]) -> bool:
    return bool(plain & SUSPECT) or _has(plain, _UNDONE)


def _has(plain: set[str], tokens: frozenset[str]) -> bool:
    return any(tokens.intersection(_TOKEN.findall(word)) for word in plain)


_BOUGHT_OR_SOLD = frozenset({
    "b", "s", "bc", "ss", "bto", "stc", "sto", "btc", "bot", "sld", "bought", "sold", "long", "short",
    "kauf", "verkauf", "achat", "vente", "compra", "venta", "venda", "acquisto", "vendita", "koop", "verkoop",
})  # fmt: skip
_SIDES = frozenset({
    "side", "ordside", "orderside", "tradeside", "action", "bs", "buysell", "buyorsell", "direction", "dir", "way",
    "isbuy", "isbuyer", "issell", "sens", "sentido", "richtung", "seite", "lado", "richting",
})  # fmt: skip
"""Names of columns that say which way an execution went, as letters in lower case."""
_POSITIONS = frozenset({"long", "short"})
_EXITS, _FILLS = (
    frozenset({"exit", "close", "closing"}),
    frozenset({"fill", "filled", "execution", "executed", "trade"}),
)


def unnamed_side_question(column: str, words: Mapping[str, int], *, is_signed: bool) -> Question | None:
    """Return a question about a column that says which way executions went, in a file without a column `side`.

    `is_signed`: a quantity of the file is below zero. Where none is, the name of the column alone may say it, and exits
    are not purchases like the entries.
    """
    plain = {plain_word(word) for word in words} - {""}
    is_named = letters_of(column) in _SIDES and not plain <= _FILLS
    has_sides = all(word in _BOUGHT_OR_SOLD or word.startswith(("buy", "sell")) for word in plain)
    is_needed = not is_signed and (is_named or _has(plain, _EXITS))
    if not plain or not (has_sides or is_needed):
        return None
    text = (
        f"column {column} looks as if it said what was bought and what was sold, and the mapping does not mention it. "
        "Name it if it does, and in rows.ignore if the sign of the quantity says it"
    )
    return Question("columns.side", text, _counted(words), (column,))


def exit_of_side_question(column: str, words: Iterable[str], side: str, sides: Iterable[str]) -> Question | None:
    """Return a question about a column that says which rows are exits, where the column `side` says long or short.

    It is then the side of the position, and the exit of a long one is a sale.
    """
    held = {plain_word(word) for word in sides} - {""}
    if not held or not held <= _POSITIONS or not _has({plain_word(word) for word in words}, _EXITS):
        return None
    text = (
        f"column {side} has long and short alone, and column {column} says which rows are exits: the exit of a long "
        f"position is a sale. Name both columns, and what they say together in sides.buy and sides.sell, for example "
        f'"long open,short close". If column {side} says what was bought and sold, name {column} in rows.ignore'
    )
    return Question("columns.side", text, tuple(word for word in words if word)[:FOUND_MAX], (f"{side},{column}",))


def cost_question(column: str, words: Mapping[str, int]) -> Question | None:
    """Return a question about a column that looks like costs, and that the mapping does not mention."""
    if not _COSTS.fullmatch(plain_word(column.replace("_", " "))) or not any(map(_is_amount, words)):
        return None
    text = (
        f"column {column} looks like costs, and the mapping does not mention it. Name it if it is one, and in "
        "rows.ignore otherwise"
    )
    found = tuple(f"{word or '(empty)'} ({count:,})" for word, count in list(words.items())[:5])
    return Question("fees.columns", text, found, (column,))


def _is_amount(word: str) -> bool:
    return any(sign in "123456789" for sign in word) and not any(sign.isalpha() for sign in word)


def side_question(
    column: str, words: Iterable[str], counts: Mapping[str, int], mapping: FileMapping
) -> Question | None:
    """Return a question about a column of sides in which some rows are said to be no executions."""
    sides = sides_of(mapping)
    other = {word for word in words if plain_word(word) in SUSPECT and side_of(word, mapping, sides) is None}
    if not other:
        return None
    kept = ",".join(word for word in counts if side_of(word, mapping, sides) is not None)
    question = _question(column, counts, "has rows that are neither bought nor sold")
    return Question(question.key, question.text, question.found, (kept,) if kept else ())


def _question(column: str, words: Mapping[str, int], why: str) -> Question:
    return Question(
        key=f"rows.where.{column}",
        text=(
            f"column {column} {why}, and nothing says which of its words are executions. Name those that are, with "
            f"commas; the other rows are set aside and counted. If it says nothing about that, name it in rows.ignore"
        ),
        found=_counted(words),
    )


def _counted(words: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{word or '(empty)'} ({count:,})" for word, count in sorted(words.items()))
