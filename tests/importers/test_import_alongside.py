"""An import of what the log has from another export of the account: refused, or counted once where that is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore import EventStore
from gateways.importers import import_file
from gateways.importers.alongside import KnownElsewhere
from tests.importers.mappings import PAIRS, figures, mapping

Write = Callable[..., Path]

HEADER = "trade_id,symbol,side,quantity,price,time"
FILLS = ("F1,MNQH6,buy,2,21000.25,2026-03-02T15:30:01.400Z", "F2,MNQH6,sell,2,21010,2026-03-02T15:40:00Z")
PAIR_HEADER = "symbol,buyFillId,sellFillId,qty,buyPrice,sellPrice,pnl,boughtTimestamp,soldTimestamp"
PAIR = "MNQH6,901,902,2,21000.25,21010.00,$39.00,03/02/2026 09:30:01,03/02/2026 09:40:00"


def test_matched_pairs_beside_fills_are_refused_and_counted_once_if_it_is_said(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, *FILLS), "fills", account="A")
    head = store.head()
    path = write("performance.csv", PAIR_HEADER, PAIR)
    with pytest.raises(
        KnownElsewhere, match=r"performance\.csv, line 2: the log has this execution from another source"
    ):
        import_file(store, path, mapping=mapping(PAIRS), account="A", zone="America/Chicago")
    assert store.head() == head
    for _ in range(2):
        report = import_file(
            store, path, mapping=mapping(PAIRS), account="A", zone="America/Chicago", alongside=True
        )  # fmt: skip
        assert report.ignored == {"executions that the log has from another file": 2}
        assert (report.added, report.left_out) == (0, ())
    assert figures(store, "A", "MNQH6")[:2] == (0, 39)


def test_the_same_file_again_is_not_another_one(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, *FILLS)
    import_file(store, path, "fills", account="A")
    assert import_file(store, path, "fills", account="A").added == 0
