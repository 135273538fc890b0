"""The statistics of libraries that have them, from exact daily returns: none is computed here."""

from __future__ import annotations

import math
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from projections.analysis.libraries import library
from projections.html_page import FIGURE, heading, sentence, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEEDED = 2
"""A single day has no deviation."""
QUANTSTATS = {
    "cumulative return": "comp",
    "annual return (cagr)": "cagr",
    "annual volatility": "volatility",
    "Sharpe ratio": "sharpe",
    "Sortino ratio": "sortino",
    "maximum drawdown": "max_drawdown",
    "best day": "best",
    "worst day": "worst",
}
EMPYRICAL = {
    "cumulative return": "cum_returns_final",
    "annual return": "annual_return",
    "annual volatility": "annual_volatility",
    "Sharpe ratio": "sharpe_ratio",
    "Sortino ratio": "sortino_ratio",
    "maximum drawdown": "max_drawdown",
    "tail ratio": "tail_ratio",
}
LIBRARIES = (
    ("quantstats", "quantstats.stats", "quantstats", QUANTSTATS),
    ("empyrical", "empyrical", "empyrical-reloaded", EMPYRICAL),
)
RATIOS = frozenset({"Sharpe ratio", "Sortino ratio", "tail ratio"})
NOT_INSTALLED = (
    "For Sharpe and Sortino ratios, volatility and the like, install quantstats or empyrical-reloaded: their figures "
    "then stand here, made from the exact daily returns of analysis.returns."
)


def statistics(daily: Callable[[], Any]) -> Iterator[str]:
    """Yield the section of statistics: what each installed library says of daily returns, which `daily` gives."""
    yield heading("Statistics")
    installed = [each for each in LIBRARIES if find_spec(each[0]) is not None]
    if not installed:
        yield sentence(NOT_INSTALLED)
        return
    try:
        series = daily()
    except InvalidEvent as e:
        yield sentence(f"None, because a daily return is not known: {e}")
        return
    if len(series) < NEEDED:
        yield sentence(f"None: they need at least {NEEDED} daily returns, and there are {len(series)}.")
        return
    for _, module, name, functions in installed:
        yield sentence(f"By {name}, from {len(series):,} daily returns, with its own conventions (docs/ANALYSIS.md):")
        yield table([("", ""), ("", FIGURE)], _figures(library(module), functions, series))


def _figures(module: Any, functions: dict[str, str], series: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - theirs
    found = []
    for text, name in functions.items():
        try:
            # What they warn about, such as a division by no deviation, ends as a figure that is not finite.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = float(getattr(module, name)(series))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
            found.append((text, f"not computed: {type(e).__name__}"))
            continue
        shown = f"{value:,.2f}" if text in RATIOS else f"{value:,.2%}"
        found.append((text, shown.replace("-", "−") if math.isfinite(value) else "–"))
    return found
