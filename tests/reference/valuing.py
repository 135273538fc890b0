"""A plain model of valuation: which of the accepted prices counts, how far it is known, and its confirming window."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tests.reference.prices import CONFIRM, STALE, PriceModel
from tests.reference.sound_prices import Span

CHOSEN = {
    "mark": {"mark"},
    "last-within-spread": {"last", "bid", "ask"},
    "last": {"last"},
    "mid": {"bid", "ask"},
    "liquidation": {"bid", "ask"},
}


def price(model: PriceModel, at: int, valuation: str, *, long: bool) -> tuple[Fraction | None, str]:
    """Return the price at an instant, and its status."""
    price, of = made_of(model.good, valuation, long=long)
    if valuation == "last-within-spread" and of == ["last"] and at - fresh_at(model, "last", at) > STALE:
        price, of = kept_by_quiet_spread(model, at)
    instead = price is None
    if instead:
        price, of = stand_in(model.good)
    if price is None:
        return None, "UNKNOWN"
    age = at - min(fresh_at(model, kind, at) for kind in of)
    return price, "STALE" if instead or model.pending or abs(age) > STALE else "KNOWN"


def extremes(model: PriceModel, valuation: str, *, long: bool) -> Span | None:
    """Return the lowest and the highest price in force during the confirming window, by looking at all of them."""
    has_own = bool(model.seen) and made_of(model.seen[-1][2], valuation, long=long)[0] is not None
    kinds = CHOSEN[valuation] if has_own else {"last", "bid", "ask", "mark"}
    ends = [index for index, (_, seen, _, _) in enumerate(model.seen) if seen & kinds]
    if not ends or model.seen[-1][0] - model.seen[ends[-1]][0] > STALE:
        return None
    last = ends[-1]
    time, _, _, is_fill = model.seen[last]
    begin = model.seen[last - 1][0] if is_fill and last else time - CONFIRM
    first = [index for index in range(last) if model.seen[index][0] <= begin]
    if not first:
        return None
    found = []
    for _, _, good, _ in model.seen[first[-1] : last + 1]:
        own, _ = made_of(good, valuation, long=long)
        found.append(stand_in(good)[0] if own is None else own)
    known = [each for each in found if each is not None]
    return (min(known), max(known)) if len(known) == len(found) else None


def made_of(good: dict[str, Any], valuation: str, *, long: bool) -> tuple[Fraction | None, list[str]]:
    """Return the price of the kind that is chosen, and what it is made of."""
    bid, ask = good.get("bid"), good.get("ask")
    if valuation in {"mid", "liquidation"}:
        if bid is None or ask is None:
            return None, []
        if valuation == "mid":
            return (bid[0] + ask[0]) / 2, ["bid", "ask"]
        return (bid[0], ["bid"]) if long else (ask[0], ["ask"])
    single = "mark" if valuation == "mark" else "last"
    if single not in good:
        return None, []
    if valuation != "last-within-spread" or bid is None or ask is None:
        return good[single][0], [single]
    return held(good, by_bid=bid[1] > good["last"][1], by_ask=ask[1] > good["last"][1])


def held(good: dict[str, Any], *, by_bid: bool, by_ask: bool) -> tuple[Fraction, list[str]]:
    last, bid, ask = (good[kind][0] for kind in ("last", "bid", "ask"))
    if by_bid and last < bid:
        return bid, ["bid"]
    if by_ask and last > ask:
        return ask, ["ask"]
    return last, ["bid", "ask"] if by_bid and by_ask else ["last"]


def kept_by_quiet_spread(model: PriceModel, at: int) -> tuple[Fraction, list[str]]:
    """Return a stale last price, held by a spread whose feed has shown later than that that it is unchanged."""
    is_later = "bid" in model.good and min(fresh_at(model, each, at) for each in ("bid", "ask")) > fresh_at(
        model, "last", at
    )
    return held(model.good, by_bid=True, by_ask=True) if is_later else (model.good["last"][0], ["last"])


def stand_in(good: dict[str, Any]) -> tuple[Fraction | None, list[str]]:
    """Return what stands in for a kind of price that is missing."""
    for valuation in ("last-within-spread", "mid", "mark"):
        price, of = made_of(good, valuation, long=True)
        if price is not None:
            return price, of
    return None, []


def fresh_at(model: PriceModel, kind: str, at: int) -> int:
    _, known, source = model.good[kind]
    heard = min(model.alive.get(source, 0), at)
    return int(known if known > at else max(known, heard))
