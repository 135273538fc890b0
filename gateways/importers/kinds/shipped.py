"""Which class reads the rows of a mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.importers.kinds.cash import CashRows
from gateways.importers.kinds.execution import ExecutionRows
from gateways.importers.kinds.matched_pair import MatchedPairRows
from gateways.importers.kinds.order import OrderRows
from gateways.importers.kinds.round_trip import RoundTripRows
from gateways.importers.kinds.snapshot import snapshot_of
from gateways.importers.mapping import KindOfRow

if TYPE_CHECKING:
    from gateways.importers.kinds.protocol import RowKind
    from gateways.importers.mapping import RowSettings

_KINDS: dict[KindOfRow, type[RowKind]] = {
    KindOfRow.EXECUTION: ExecutionRows,
    KindOfRow.ROUND_TRIP: RoundTripRows,
    KindOfRow.MATCHED_PAIR: MatchedPairRows,
    KindOfRow.ORDER: OrderRows,
    KindOfRow.CASH: CashRows,
}


def kind_of(rows: RowSettings) -> type[RowKind]:
    """Return the class that turns such rows into events."""
    return snapshot_of(rows.of) if rows.of is not None else _KINDS[rows.kind]
