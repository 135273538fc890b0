"""Columns that look as if they said which rows count, and that the mapping does not mention."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateways.importers.cells import plain_word, side_of, sides_of
from gateways.importers.mapping import KindOfRow
from gateways.importers.values import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
})  # fmt: skip
"""Words that say that a row is not an execution, or not certainly one."""
HARMLESS = frozenset({
    "filled", "fill", "executed", "execution", "completed", "complete", "closed", "done", "ok", "success", "trade",
    "exchtrade", "booktrade", "settled", "confirmed", "partially filled", "partial fill", "traded", "matched",
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
_UNDONE = frozenset({"void", "voided", "canceled", "cancelled", "rejected", "failed", "pending", "reversed", "deleted"})
_FLAGS = frozenset({"void", "voided", "cancelled", "canceled", "deleted", "is void", "isvoid"})
_NO = frozenset({"", "0", "no", "false", "n"})


def question_of(column: str, words: Mapping[str, int], kind: KindOfRow) -> Question | None:
    """Return a question about a column that the mapping does not mention; None if nothing need be asked.

    `kind` is that of the rows: a movement of cash, an order and a snapshot are what such words say.
    """
    if kind is not KindOfRow.EXECUTION and kind is not KindOfRow.ROUND_TRIP and kind is not KindOfRow.MATCHED_PAIR:
        undone = {plain_word(word) for word in words} & _UNDONE
        return _question(column, words, "has rows that did not happen") if undone and kind is KindOfRow.CASH else None
    name = plain_word(column.replace("_", " "))
    plain = {plain_word(word) for word in words}
    if name in _FLAGS:
        is_open = bool(plain - _NO)
    elif name in NAMES:
        is_open = bool(plain - HARMLESS)
    else:
        is_open = bool(plain & SUSPECT) and len(plain) > 1
    return _question(column, words, "looks as if it said which rows count") if is_open else None


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
        found=tuple(f"{word or '(empty)'} ({count:,})" for word, count in sorted(words.items())),
    )
