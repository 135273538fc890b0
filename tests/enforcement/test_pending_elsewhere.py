"""What an account is asked for by another process is seen at once, the first request of all included."""

from pathlib import Path

import eventstore
import projections
from eventstore.trading import EnforcementAction, EnforcementRequested

REQUEST = EnforcementRequested(rule_id="loss", action=EnforcementAction.CANCEL_ORDERS)


def test_the_first_request_of_an_account_is_seen(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store, eventstore.open(tmp_path) as elsewhere, projections.open(store) as book:
        elsewhere.append("enforcement/A/1", REQUEST)
        assert [each.rule_id for each in book.enforcement.pending("A")] == ["loss"]


def test_the_first_request_of_all_is_seen(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store, eventstore.open(tmp_path) as elsewhere, projections.open(store) as book:
        elsewhere.append("enforcement/A/1", REQUEST)
        assert [each.account for each in book.enforcement.pending()] == ["A"]
        elsewhere.append("enforcement/B/1", REQUEST)
        assert [each.account for each in book.enforcement.pending()] == ["A", "B"]
