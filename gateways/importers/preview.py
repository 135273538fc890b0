"""What an import would do, without a store: the rows by kind, what they leave, and the file's figures beside ours."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

import msgspec

from eventstore import Instant
from eventstore.streams import account_of
from eventstore.trading import OrderFilled, Side, TradeExecuted
from gateways.importers.base import BadRow
from gateways.importers.comparison import PnlRow, PnlSums, compare
from gateways.importers.mapped import MappedReader
from gateways.importers.plan import FilePlan, read_plan
from gateways.presenting.documents import plain
from projections.decimals import FIXED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from pathlib import Path

    from typing_extensions import Unpack

    from eventstore.trading import ContractDefined
    from gateways.importers.file_options import FileOptions

ZERO = Decimal(0)


class PreviewedContract(msgspec.Struct, frozen=True, kw_only=True):
    """A contract of the file: `names` are the file's for it; `is_default`: no table has it, the mapping states it."""

    symbol: str
    names: tuple[str, ...]
    point_value: Decimal | None
    currency: str | None
    is_default: bool


class EndPosition(msgspec.Struct, frozen=True):
    """What an account holds of a contract after the file's last row, if it began flat."""

    account: str
    symbol: str
    quantity: Decimal


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What an import of a file would append.

    `format` is the preset or mapping, with its `title`; `rows` are those of the file, `set_aside` the rows without an
    event, by reason; `repeated` repeat an earlier row. `events` are counted by type, contract definitions apart.
    `first` and `last` are the earliest and the latest time, UNIX ns. `fees` is what was paid, by currency, "" for that
    of the contract. `pnl` is the file's own profit and loss beside ours: of more than 10,000
    figures, those that differ; `pnl_sums` are of all. `choices` are what the mapping states or the
    whole file says: the zone, the sign of costs, the order of rows, and whether profit and loss is after costs.
    """

    file: str
    format: str
    title: str
    rows: int
    events: dict[str, int]
    set_aside: dict[str, int]
    repeated: int
    left_out: tuple[BadRow, ...]
    accounts: tuple[str, ...]
    contracts: tuple[PreviewedContract, ...]
    first: Instant | None
    last: Instant | None
    positions: tuple[EndPosition, ...]
    fees: dict[str, Decimal]
    pnl: tuple[PnlRow, ...]
    pnl_sums: PnlSums
    choices: dict[str, str]

    def as_json(self, zone: tzinfo) -> dict[str, object]:
        """Return the preview as plain values for JSON: figures as text, times in a zone."""
        members: dict[str, object] = plain(self, zone)
        members["left_out"] = [
            {"line": bad.line, "column": bad.column, "value": bad.value, "why": bad.why} for bad in self.left_out
        ]
        members["pnl"] = [row.as_json() for row in self.pnl]
        return members


def preview_file(path: str | Path, format: str | None = None, **options: Unpack[FileOptions]) -> Preview:
    """Return what `import_file` would append, with the same arguments; nothing is written.

    Raises what `read_plan` raises: MissingChoices has all that the file leaves open.
    """
    return preview_of(read_plan(path, format, **options))


def preview_of(plan: FilePlan) -> Preview:
    """Return what appending the events of a file would do."""
    reader = plan.reader
    found = _Totals()
    for item in plan.items:
        found.take(item.occurred_at, item.stream, item.event)
    after_fees = isinstance(reader, MappedReader) and reader.after_fees is True
    compared = compare(reader.compares, plan.items, reader.contracts, after_fees=after_fees)
    return Preview(
        file=reader.file,
        format=reader.format,
        title=reader.title if isinstance(reader, MappedReader) else "",
        rows=plan.rows,
        events=dict(found.types),
        set_aside=dict(reader.ignored),
        repeated=plan.repeated,
        left_out=tuple(plan.left_out),
        accounts=tuple(sorted(found.accounts)),
        contracts=tuple(_contracts(plan)),
        first=found.first,
        last=found.last,
        positions=tuple(found.positions()),
        fees=dict(found.fees),
        pnl=compared.rows,
        pnl_sums=compared.sums,
        choices=dict(reader.choices()) if isinstance(reader, MappedReader) else {},
    )


class _Totals:
    """What the events of a file come to, gathered one by one."""

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.accounts: set[str] = set()
        self.fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.first: int | None = None
        self.last: int | None = None
        self._held: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)

    def take(self, at: int, stream: str, event: object) -> None:
        self.types[type(event).__name__] += 1
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)
        account = account_of(stream)
        self.accounts.add(account)
        if not isinstance(event, OrderFilled | TradeExecuted):
            return
        with localcontext(FIXED):
            self._held[account, event.symbol] += event.quantity if event.side is Side.BUY else -event.quantity
            if event.fee:
                self.fees[event.fee_currency or ""] += event.fee

    def positions(self) -> Iterator[EndPosition]:
        for (account, symbol), quantity in sorted(self._held.items()):
            yield EndPosition(account, symbol, quantity)


def _contracts(plan: FilePlan) -> Iterator[PreviewedContract]:
    defaults: set[str] = plan.reader.default_symbols if isinstance(plan.reader, MappedReader) else set()
    for symbol, contract in sorted(plan.reader.contracts.items()):
        yield _previewed(contract, is_default=symbol in defaults)


def _previewed(contract: ContractDefined, *, is_default: bool) -> PreviewedContract:
    return PreviewedContract(
        symbol=contract.symbol,
        names=contract.broker_ids,
        point_value=contract.point_value,
        currency=contract.currency,
        is_default=is_default,
    )
