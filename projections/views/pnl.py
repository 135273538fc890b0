"""Profit and loss by trading day, week, symbol and currency, joined from positions, contracts and quotes on asking."""

from projections.view import Lens


class Pnl:
    """Questions about profit and loss."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
