"""Hypothesis strategies for every event of the vocabulary, from the types of its members."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from msgspec import inspect as shapes

from eventstore import Event
from eventstore.clock import GIVEN_MIN, TIME_MAX
from eventstore.events.registry import by_class

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
# What a member of any type may hold and get back as it was: JSON has no tuples, no decimals and no keys but texts.
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
PLAIN: dict[type[shapes.Type] | str, st.SearchStrategy[Any]] = {
    shapes.AnyType: JSON,
    shapes.DecimalType: st.decimals("-9.99e99", "9.99e99", allow_nan=False, allow_infinity=False),
    shapes.StrType: TEXTS,
    shapes.IntType: INTEGERS,
    shapes.BoolType: st.booleans(),
    shapes.DateType: st.dates(),
    shapes.NoneType: st.none(),
    shapes.UUIDType: st.uuids(),
    # What stands for a lockout's scope: no random text is one.
    "scope": st.sampled_from(["account", "symbol:ESZ5", "symbol:BRK B", "root:ES"]),
    "positive": st.decimals("1.01e-100", "9.99e99", allow_nan=False, allow_infinity=False),
    "currency": st.sampled_from(["USD", "EUR", "USDT", "1000PEPE"]),
    "duration": st.integers(0, TIME_MAX),
    "record_id": st.uuids(),
    "instant": st.integers(GIVEN_MIN, TIME_MAX),
}


NAMED: dict[str, st.SearchStrategy[Any]] = {
    "payout": st.none() | st.sampled_from(["moves-floor", "keeps-floor", "floor-to=0"]),
    "second_approver": st.none() | st.sampled_from(["", "*", "bob", "ann, bob@desk"]),
    "haircut": st.none() | st.decimals("0", "0.99", allow_nan=False, allow_infinity=False),
    "balance_kind": st.none() | st.sampled_from(["realized", "wallet", "net-liquidation"]),
    "target": st.sampled_from(["order/ACC1/O-17", "day/ACC1/2025-11-19", "0190b5c8-7d3a-7c5e-8f1a-2b3c4d5e6f70"]),
    "tags": st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=3, unique=True).map(tuple),
    "breaks_count": st.none() | st.integers(3, 9),
    "statement_digest": st.sampled_from(["", "0f" * 32]),
    "log_position": st.none() | st.integers(0, 2**63 - 1),
    "balance_tolerance": st.none() | st.decimals("0", "9.99e9", allow_nan=False, allow_infinity=False),
}
"""Members that take little of what their type does: nearly all that is drawn by type alone would be refused."""


def strategy_of(kind: shapes.Type) -> st.SearchStrategy[Any]:
    match kind:
        case shapes.Metadata(extra=dict(extra)):
            return PLAIN[next(name for name in extra if extra[name])]
        case shapes.UnionType(types=members):
            return st.one_of([strategy_of(member) for member in members])
        case shapes.StrType(pattern=str(pattern)):
            return st.from_regex(pattern, fullmatch=True)
        case shapes.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case shapes.VarTupleType(item_type=item):
            return st.lists(strategy_of(item), max_size=3).map(tuple)
        case shapes.DictType(key_type=key, value_type=value):
            return st.dictionaries(strategy_of(key), strategy_of(value), max_size=3)
        case shapes.StructType(cls=cls, fields=fields):
            return st.builds(
                cls,
                **{
                    field.name: NAMED[field.name] if field.name in NAMED else strategy_of(field.type)
                    for field in fields
                },
            )
        case _:
            return PLAIN[type(kind)]


def events_of(cls: type[Event]) -> st.SearchStrategy[Event]:
    problem_of = by_class(cls).problem_of
    return strategy_of(shapes.type_info(cls)).filter(lambda event: problem_of is None or problem_of(event) is None)
