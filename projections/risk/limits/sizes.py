"""The parameters that kinds on quantities share: one limit for all symbols, others by symbol or root."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import msgspec
from typing_extensions import override

from projections.risk.contexts import by_name as figure_of
from projections.views.limits.directions import HIGHER, Measured, by_name
from projections.views.limits.parameters import Parameters, not_below_zero

if TYPE_CHECKING:
    from projections.risk.cache import RiskCache

_Table = dict[str, Decimal]


class SizeParameters(Parameters, frozen=True, kw_only=True):
    """`limit` holds for every symbol that `limits` has not, by its own name, another of its contract, or its root."""

    limit: Annotated[Decimal | None, HIGHER, Measured.CONTRACTS] = None
    limits: Annotated[_Table, by_name(HIGHER, "limit"), Measured.CONTRACTS] = msgspec.field(default_factory=dict)

    @override
    def problem(self) -> str | None:
        if self.limit is None and not self.limits:
            return "set limit or limits"
        figures = [self.limit, *self.limits.values()]
        return next(filter(None, (not_below_zero("limit and limits", figure) for figure in figures)), None)

    def most(self, cache: RiskCache, symbol: str) -> Decimal | None:
        """Return a symbol's limit; None without one."""
        return figure_of(cache, symbol, self.limits, self.limit)
