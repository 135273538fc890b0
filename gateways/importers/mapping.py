"""A mapping: the TOML file that says what an export's columns mean. Every preset is one."""

from __future__ import annotations

import enum
from collections.abc import Mapping as AnyMapping
from typing import Literal

import msgspec

from gateways.importers.containers import Read
from gateways.importers.values.numbers import Numbers
from gateways.importers.values.times import Time

Words = tuple[str, ...]
ColumnNames = str | tuple[str, ...]


class KindOfRow(enum.StrEnum):
    """What one row of the file is."""

    EXECUTION = "execution"
    """One execution."""
    ROUND_TRIP = "round-trip"
    """An entry and its exit, which are two executions; the costs of both are those of the exit."""
    MATCHED_PAIR = "matched-pair"
    """A purchase and a sale matched by the broker: each of the two executions may stand in several rows in parts."""
    ORDER = "order"
    """An order with its last status; with a filled quantity, also one execution at the average price."""
    SNAPSHOT = "snapshot"
    """What a broker or a bot says it holds: a position, a balance, a working order, a state. Never an execution."""
    CASH = "cash"
    """Cash that came or went: a deposit, funding, interest, a fee."""


class SnapshotOf(enum.StrEnum):
    """What a row of kind snapshot is about."""

    POSITIONS = "positions"
    BALANCES = "balances"
    ORDERS = "orders"
    PAIRS = "pairs"
    """The state that a strategy keeps of a pair, as JSON."""
    PORTFOLIOS = "portfolios"
    """The state that a strategy keeps of a portfolio, as JSON."""


class RowOrder(enum.StrEnum):
    """In which order rows with the same time happened."""

    AS_WRITTEN = "as-written"
    NEWEST_FIRST = "newest-first"


class FeeSign(enum.StrEnum):
    """How the file writes what was paid; the other sign is a rebate."""

    PAID_IS_POSITIVE = "paid-is-positive"
    PAID_IS_NEGATIVE = "paid-is-negative"
    ALWAYS_PAID = "always-paid"
    """All was paid, whatever its sign, as where one column of costs is below zero and another above."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Base of the tables of a mapping: members are written with hyphens."""


class RowSettings(Section, frozen=True):
    """Table [rows]: what a row is, and which rows count.

    `kind`: see `KindOfRow`. `of`: for a snapshot, what a row is about.
    `where`: a column and its words: rows with another word are set aside and counted. Upper and lower case and spaces
    around a word do not matter; "" is an empty cell. The column must be in the file.
    `aside`: a column and its words: rows with one of them are set aside and counted. The column may be missing. For a
    column in both, a word in neither stops the import.
    `ignore`: columns that have words like those of a status or type, but say nothing about what a row is.
    `order`: in which order rows with the same time happened; left out, the times of the whole file decide.
    """

    kind: KindOfRow = KindOfRow.EXECUTION
    of: SnapshotOf | None = None
    where: AnyMapping[str, Words] = {}
    aside: AnyMapping[str, Words] = {}
    ignore: Words = ()
    order: RowOrder | None = None


class SideSettings(Section, frozen=True):
    """Table [sides]: the words of the column `side`. Left out: buy, b, bot, bought, long, bid, and their opposites.

    `buy`, `sell`: the words, in upper or lower case; of a round trip they are its entry's. `match`: "word" compares the
    whole cell, "prefix" its beginning. Without a column `side` a quantity below zero is a sale; with one, a sign that
    contradicts `buy` is refused.
    """

    buy: Words = ("buy", "b", "bot", "bought", "long", "bid")
    sell: Words = ("sell", "s", "sld", "sold", "short", "ask")
    match: Literal["word", "prefix"] = "word"


class FeeSettings(Section, frozen=True):
    """Table [fees]: the costs of a row.

    `columns`: they add up, with `columns.fee` if there is one; an empty cell is 0. `sign`: left out, the whole file
    decides, or the question is asked. `currency`: a code, or "@Column" of the row; left out, the unit written in the
    cell (`0.18SOL`), else the contract's currency. `in_kind`: a fee may be in the coin that was bought, and is then
    taken from what was bought; without it a fee in that coin is refused.
    """

    columns: Words = ()
    sign: FeeSign | None = None
    currency: str | None = None
    in_kind: bool = False


class PnlSettings(Section, frozen=True):
    """Table [pnl]: the file's own profit and loss, which is compared with ours and never booked.

    `column`: its column. `after_fees`: whether costs are taken off; left out, arithmetic over the whole file decides,
    or the question is asked. `takes_off`: of which costs it is after: "row", those of its own row, or "matched", those
    of the entry that the row closes too, as Interactive Brokers has it.
    """

    column: str | None = None
    after_fees: bool | None = None
    takes_off: Literal["row", "matched"] = "row"


class ContractDefault(Section, frozen=True):
    """Table [contract] default: the contract of a symbol that no table lists, stated in the preview.

    `multiplier`: money per point and unit, or "@Column" of the row, "@Column|1" where the file or the row may lack it.
    `currency`: a code, "@Column" of the row, or "@quote" for what stands after
    the slash, hyphen or dot of a pair (ABC/USDT). `base_currency`: the same for what is bought, "@base" for what stands
    before it, and "@unit:Column" for the unit written beside a number (`0.18SOL`). `asset`: FUTURE, OPTION, STOCK, FX
    or CRYPTO; of a pair, the last two mean "@base" and "@quote". Without a currency, it is that of the account.
    `derivatives`: whether it is also that of a swap or a dated future of a pair (ABC/USDT:USDT), whose size often is
    another; false: such a symbol is refused unless a table lists it.
    """

    multiplier: int | str = 1
    currency: str | None = None
    base_currency: str | None = None
    asset: str | None = None
    derivatives: bool = False


class ContractSettings(Section, frozen=True):
    """Table [contract]: how the file writes contracts.

    `column`: the same as `columns.symbol`. `symbol`: the contract of all rows. `spelling`: the program whose names
    these are, where they could also be another's: "ninjatrader", "projectx", "tradingview", …; left out, all are known.
    `currency`: "@Column" of the row: it is compared with the contract's, and one that differs is refused. `default`: of
    what no table lists; without one such a symbol is refused. `quotes`: currencies of a pair written without a
    separator (BTCUSDT), in the order in which they are tried; "X???|ZEUR" is one after such a base currency only.
    `coins`: other names of currencies, and their codes: XBT is BTC.
    """

    column: ColumnNames | None = None
    symbol: str | None = None
    spelling: str | None = None
    currency: str | None = None
    default: ContractDefault | None = None
    quotes: Words = ()
    coins: AnyMapping[str, str] = {}


class IdentitySettings(Section, frozen=True):
    """Table [identity]: which columns make a row the same one in another export.

    `columns`: together they are unique in an account: an id that is unique per symbol only is given with the symbol's
    column. Left out: `columns.trade_id` or `columns.order_id`; without these a row is identified by its figures, and by
    its number among the rows with the same figures. `key`: beginning of the idempotency keys, by default "fill:" for
    an execution, "order:" for an order: part of the events' ids, never to be changed once files were imported.
    """

    columns: Words = ()
    key: str | None = None


class OrderSettings(Section, frozen=True):
    """Table [orders]: the words of the columns `status` and `order_type`, in upper or lower case.

    `open`, `filled`, `canceled`, `rejected`, `expired`: the words of each status. `types`: an order type of FIX, such
    as STOP_LIMIT, and its words; the names themselves without `_` are known. `full_fills`: without a column
    `filled_quantity`, a filled order is filled with its whole quantity; false: such a row is refused.
    """

    open: Words = ("open", "working", "pending", "suspended", "new", "accepted", "submitted")
    filled: Words = ("filled", "closed", "completed", "executed")
    canceled: Words = ("canceled", "cancelled")
    rejected: Words = ("rejected",)
    expired: Words = ("expired",)
    types: AnyMapping[str, Words] = {}
    full_fills: bool = True


class CashSettings(Section, frozen=True):
    """Table [cash]: the words of the column `type` by kind of cash movement: DEPOSIT, FUNDING, INTEREST, FEE, ….

    The amount is signed, above zero what was received. `kind`: of all rows, where there is no such column. `currency`:
    a code, where there is no column `currency`.
    """

    kinds: AnyMapping[str, Words] = {}
    kind: str | None = None
    currency: str | None = None


class Mapping(Section, frozen=True):
    """What the columns of an export mean.

    `title`: what the export is, and where it comes from. `about`: what is special about it.
    `columns`: the column of each field of the kind (see `gateways.importers.fields`); several are joined: times, dates
    and sides with a space, symbols with a slash; of other fields, and of those in `first`, the first that is not empty
    counts.
    `optional`: columns named in this mapping that the file may lack, because versions of the export differ. All others
    must be there. `required`: further names by which the export is recognised; `absent`: names that another export
    has. `account`: the account of all rows.
    `read`, `rows`, `time`, `sides`, `fees`, `pnl`, `contract`, `identity`, `orders`, `cash`: see there. `numbers`: left
    out, plain numbers such as -1234.50 are read, and any other is asked about.
    `tables`: further tables of the same file, or other rows of the same table, each a mapping; what it leaves out of
    account, read, time, numbers and contract is as above.
    """

    title: str = ""
    about: str = ""
    optional: Words = ()
    required: Words = ()
    absent: Words = ()
    first: Words = ()
    account: str | None = None
    read: Read = Read()
    rows: RowSettings = RowSettings()
    time: Time = Time()
    numbers: Numbers | None = None
    sides: SideSettings = SideSettings()
    fees: FeeSettings = FeeSettings()
    pnl: PnlSettings = PnlSettings()
    contract: ContractSettings = ContractSettings()
    identity: IdentitySettings = IdentitySettings()
    orders: OrderSettings = OrderSettings()
    cash: CashSettings = CashSettings()
    columns: AnyMapping[str, ColumnNames] = {}
    tables: tuple[Mapping, ...] = ()
