"""A limit is judged where some process runs its policy for the account, in a version that reads the limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    GroupDefined,
    LimitsSet,
    LimitUnjudged,
    Severity,
    Side,
    Verdict,
)
from gateways.presenting.limits import limits_in_force
from projections import Book, risk
from projections.risk.limits.groups import GroupLimits
from projections.risk.limits.unjudged import UnjudgedLimits
from projections.risk.policies import Policies, Policy, abilities
from projections.risk.proposals import Proposal
from projections.rules import DailyLoss, DailyProfit, Parameters, TradeLimit
from projections.views.limits.directions import HIGHER
from tests.projections.policy_scene import running
from tests.projections.rules_day import NOON

pytestmark = pytest.mark.in_each_place
LOSS, TRADES, SIZE = "daily-loss", "trade-limit", "order-size"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def reader(store: EventStore) -> Iterator[Book]:
    """Return a book of another process, which runs no policies."""
    prepare(store)
    with projections.open(store, snapshots=False) as opened:
        yield opened


def prepare(store: EventStore) -> None:
    for account in ("A", "B"):
        store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    store.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))


def limit(store: EventStore, rule_id: str, account: str = "A", **parameters: str) -> None:
    store.append(f"limits/{account}/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="me")


def opened(store: EventStore, *accounts: str) -> Book:
    return projections.open(store, snapshots=False, accounts=accounts or None)


def unjudged(reader: Book, account: str = "A") -> dict[str, str]:
    """Return which limits a book sees unjudged once it may look again, each also by the check before an order."""
    reader.refresh()
    reader.reader.clock.advance(NANOSECONDS)  # type: ignore[attr-defined]
    order = Proposal(account=account, symbol="ES", side=Side.BUY, quantity=Decimal(1), order_type="MARKET")  # type: ignore[arg-type]
    answer = risk.check(reader, order, reader.now_ns())
    found = {each.rule_id: each.why for each in reader.limits.unjudged(account)}
    rejected = {each.rule_id: each.reason for each in answer.findings if each.verdict is Verdict.REJECT}
    assert rejected == {rule_id: f"{rule_id} cannot be judged: {why}" for rule_id, why in found.items()}
    return found


def started(store: EventStore, policies: Sequence[Policy], *accounts: str) -> Policies:
    return running(opened(store, *accounts), *policies)


def test_a_limit_whose_policy_nobody_runs_is_unjudged_and_one_that_runs_is_judged(
    store: EventStore, reader: Book
) -> None:
    limit(store, LOSS, limit="500")
    limit(store, TRADES, limit="9")
    limit(store, SIZE, limit="9")  # judged before orders alone
    assert not unjudged(reader), "no policies ever ran: the check judges alone"
    first = started(store, [TradeLimit()])
    (why,) = unjudged(reader).values()
    assert why == (
        "no process that runs policies for A runs daily-loss, which judges it: one was started without it, or is of a "
        "version that lacks it; start it again with it"
    )
    documents = {each["rule_id"]: each["enforcement"] for each in limits_in_force(reader, "A", None, None)}  # type: ignore[arg-type]
    assert documents == {LOSS: "unjudged", TRADES: "enforced", SIZE: "enforced"}
    second = started(store, [DailyLoss()])
    assert not unjudged(reader)
    first.stop()
    assert list(unjudged(reader)) == [TRADES]
    second.stop()


def test_a_policy_that_runs_for_other_accounts_judges_none_of_these(store: EventStore, reader: Book) -> None:
    for account in ("A", "B"):
        limit(store, LOSS, account, limit="500")
    some, all_others = started(store, [DailyLoss()], "B"), started(store, [TradeLimit()])
    assert list(unjudged(reader)) == [LOSS]
    assert not unjudged(reader, "B")
    some.stop()
    all_others.stop()


class LossesOfAnEarlierVersion(Parameters, frozen=True, kw_only=True):
    """The parameters of a daily loss as another version knows them: without most, and with other severities."""

    severity: Severity | None = None  # type: ignore[assignment]
    limit: Annotated[Decimal, HIGHER]


def test_a_limit_that_the_version_of_its_policy_may_not_read_is_unjudged(
    store: EventStore, reader: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(abilities, "parameters_by_kind", lambda: {LOSS: LossesOfAnEarlierVersion})
        policies = started(store, [DailyLoss()])
    limit(store, LOSS, limit="500", warn_at="0.5")
    assert not unjudged(reader), "both versions read these alike"
    limit(store, f"{LOSS}:equity", limit="500", basis="equity")
    limit(store, f"{LOSS}:warning", limit="500", severity="WARNING")
    position, why = store.head() - 1, unjudged(reader)
    assert list(why) == [f"{LOSS}:equity", f"{LOSS}:warning"]
    assert (
        f"daily-loss runs for A in a version that may not read it as it is set at position {position}"
        in why[f"{LOSS}:equity"]
    )
    policies.stop()


@pytest.mark.in_directory
@pytest.mark.parametrize("content", [None, b"", b"[", b'["daily-loss"]', b"\xff"])
def test_policies_that_do_not_say_what_they_judge_judge_nothing(
    store: EventStore, reader: Book, content: bytes | None
) -> None:
    limit(store, LOSS, limit="500")
    policies = started(store, [DailyLoss()])
    assert store.directory is not None
    (written,) = store.directory.glob("policies+*.abilities")
    if content is None:
        written.unlink()
    else:
        written.write_bytes(content)
    assert list(unjudged(reader)) == [LOSS]
    policies.stop()
    policies.start(ticking=False)
    assert not unjudged(reader), "it is written again"
    policies.stop()


def test_a_group_s_limit_is_judged_where_every_member_s_records_lead_to_it(store: EventStore, reader: Book) -> None:
    store.append("group/-/G", GroupDefined(accounts=("A", "B")), actor="me")
    limit(store, LOSS, "@G", limit="500")
    first, second = started(store, [GroupLimits()], "A"), started(store, [DailyLoss()], "B")
    for account in ("A", "B"):
        (why,) = unjudged(reader, account).values()
        assert "no process that runs policies for B runs group-limits" in why
    second.stop()
    third = started(store, [GroupLimits()], "B")
    assert not unjudged(reader) | unjudged(reader, "B")
    first.stop()
    third.stop()


def test_a_book_s_own_policies_judge_what_they_are(store: EventStore, reader: Book) -> None:
    limit(store, LOSS, limit="500")
    own = running(reader, TradeLimit())
    assert list(unjudged(reader)) == [LOSS]
    other = started(store, [DailyLoss()])
    assert not unjudged(reader)
    other.stop()
    own.stop()


def test_in_memory_as_well_and_at_once(clock: ManualClock) -> None:
    with EventStore(MemoryJournal(), clock=clock) as store:
        prepare(store)
        reader = opened(store)
        limit(store, LOSS, limit="500")
        policies = started(store, [DailyProfit()])
        assert list(unjudged(reader)) == [LOSS]
        second = started(store, [DailyLoss()])
        assert not reader.limits.unjudged("A")
        second.stop()
        assert reader.limits.unjudged("A")
        policies.stop()


def test_it_is_recorded_once_with_why(store: EventStore, reader: Book, clock: ManualClock) -> None:
    limit(store, LOSS, limit="500")
    policies = started(store, [UnjudgedLimits(), TradeLimit()])
    for _ in range(8):
        clock.advance(NANOSECONDS)
        policies.tick()
    (recorded,) = [each.event for each in store.read(types=(LimitUnjudged,))]
    assert isinstance(recorded, LimitUnjudged)
    assert "runs daily-loss, which judges it" in recorded.why
    assert recorded.why == unjudged(reader)[LOSS]
    policies.stop()


def test_another_text_of_a_type_is_the_same_ability() -> None:
    schema = {"description": "a", "title": "b", "anyOf": [{"type": "string", "description": "c"}]}
    assert abilities._without_words(schema) == {"anyOf": [{"type": "string"}]}
