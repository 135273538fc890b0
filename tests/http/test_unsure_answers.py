"""What a client makes of answers that do not come: what it repeats, and what it says when it gives up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from typing_extensions import override

import eventstore
from eventstore import (
    Batch,
    Closed,
    CorruptJournal,
    EventTooLarge,
    InvalidEvent,
    ManualClock,
    OutcomeUnknown,
    Overloaded,
    Record,
    Refused,
    StoreError,
    Unavailable,
)
from eventstore.journal import Query
from eventstore.journals.memory import MemoryJournal
from eventstore.record import PreparedBatch
from eventstore.remote import groups
from eventstore.remote.wire import sent_group
from eventstore.testing.drafts import OCCURRED_AT
from eventstore.testing.store_contract import ACCOUNT, FOREIGN, ORDER, balance, fill, order
from gateways.http import Service
from gateways.http.access import Caller, NotAllowed
from tests.http.fickle import FULL, GARBLED, LIMITED, LOST, STOPPING, UNSURE, Failure, Fickle, Inside, Limited
from tests.http.mounted import Mounts, mounting

if TYPE_CHECKING:
    from eventstore.remote.wire import SentGroup
    from gateways.http.gate import ASGIApp


@pytest.fixture(scope="module")
def mounts() -> Iterator[Mounts]:
    with mounting() as found:
        yield found


# Answers that are lost, and refusals that pass


@pytest.mark.parametrize(
    "plan",
    [
        (LOST,),
        (STOPPING,),
        (FULL,),
        (UNSURE,),
        (LIMITED,),
        (LOST, STOPPING, LOST),
        (STOPPING, LIMITED, FULL, UNSURE),
        (Inside(STOPPING),),
        (Inside(Limited()),),
        (Inside(UNSURE), LOST),
    ],
)
def test_what_is_not_answered_is_written_once(mounts: Mounts, plan: tuple[Failure, ...]) -> None:
    fickle = Fickle(*plan)
    journal = MemoryJournal()
    with mounts.serving(journal, wrap=fickle) as url, eventstore.connect(url, key="") as store:
        (record,) = store.append(ORDER, order(), expected=0)
        assert (fickle.asked, list(store.read()), journal.head()) == (len(plan) + 1, [record], 1)


@pytest.mark.parametrize("lost", [1, 2])
def test_reports_that_were_left_out_are_the_same_records_when_sent_again(mounts: Mounts, lost: int) -> None:
    journal = MemoryJournal()
    fickle = Fickle()
    with mounts.serving(journal, wrap=fickle) as url, eventstore.connect(url, key="") as store:
        known = store.append(ORDER, [order(), fill("T-1"), fill("T-2")])
        fickle.plan += [LOST] * lost
        # A known report, a new one, the new one again, and events of other types, in two streams.
        found = store.append_many(
            [
                Batch(ORDER, [fill("T-2"), fill("T-3"), fill("T-3")], 3),
                Batch("order/ACC1/O-2", [order(), fill("T-2")], 0),
                Batch(ORDER, [fill("T-1"), order()], 4),
            ]
        )
        assert fickle.asked == lost + 2
        assert [record.position for record in found] == [3, 4, 4, 5, 6, 2, 7]
        assert found[0] == known[2]
        assert journal.head() == 7
        # All of it known: the whole of it is left out, whatever was expected.
        fickle.plan.append(LOST)
        assert store.append(ORDER, [fill("T-2"), fill("T-3")], expected=0) == [found[0], found[1]]
        assert journal.head() == 7


def test_a_refusal_whose_answer_is_lost_is_given_again(mounts: Mounts) -> None:
    journal = MemoryJournal()
    with mounts.serving(journal, wrap=Fickle(LOST)) as url, eventstore.connect(url, key="") as store:
        with pytest.raises(eventstore.VersionConflict) as conflict:
            store.append(ORDER, order(), expected=3)
        assert conflict.value.found == 0


def test_what_is_enqueued_is_written_once_and_in_order(mounts: Mounts) -> None:
    journal = MemoryJournal()
    fickle = Fickle(LOST, LOST, STOPPING, LOST)
    with mounts.serving(journal, wrap=fickle) as url, eventstore.connect(url, key="") as store:
        pending = [store.enqueue(ACCOUNT, balance(number)) for number in range(50)]
        store.flush()
        assert [each.result()[0].version for each in pending] == list(range(1, 51))
        assert [record.event for record in store.read()] == [balance(number) for number in range(50)]


# Giving up


def test_what_may_be_written_is_said_to_be_unknown_with_its_ids(mounts: Mounts) -> None:
    journal = MemoryJournal()
    fickle = Fickle(*[LOST] * 1_000)
    with mounts.serving(journal, wrap=fickle) as url:
        with eventstore.connect(url, key="", retry_seconds=0.3) as store, pytest.raises(OutcomeUnknown) as unknown:
            store.append(ORDER, order())
        assert list(journal.find(unknown.value.ids)) == list(unknown.value.ids)
        assert (journal.head(), fickle.asked > 1) == (1, True)


def test_what_was_refused_each_time_is_unavailable_and_not_written(mounts: Mounts) -> None:
    journal = MemoryJournal()
    with mounts.serving(journal, wrap=Fickle(*[STOPPING] * 1_000)) as url:
        with eventstore.connect(url, key="", retry_seconds=0.3) as store:
            with pytest.raises(Unavailable, match="nothing was written"):
                store.append(ORDER, order())
            pending = store.enqueue(ACCOUNT, balance(1))
            with pytest.raises(Unavailable):
                pending.result()
        assert journal.head() == 0


def test_where_nobody_listens_it_is_unavailable_soon() -> None:
    with pytest.raises(Unavailable, match="refused"):
        eventstore.connect("http://127.0.0.1:1", key="", retry_seconds=0.2)


def test_what_is_not_a_service_is_named_so(mounts: Mounts) -> None:
    fickle = Fickle(GARBLED, path="/v1/log")
    with mounts.serving(MemoryJournal(), wrap=fickle) as url, pytest.raises(Refused, match="status 404"):
        eventstore.connect(url, key="")


def test_an_append_behind_one_that_was_not_answered_is_not_sent(
    mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = MemoryJournal()
    fickle = Fickle(*[LOST] * 1_000)
    with mounts.serving(journal, wrap=fickle) as url:
        with eventstore.connect(url, key="", retry_seconds=0.3) as store:
            remote = store.journal
            # So small that each group is a request of its own.
            monkeypatch.setattr(remote, "_body_bytes_max", 300)
            given = [[_prepared(store, f"order/ACC1/{number}")] for number in range(3)]
            outcomes = remote.commit(given)  # type: ignore[attr-defined]
        assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, Unavailable, Unavailable]
        assert journal.head() == 1


def _prepared(store: eventstore.EventStore, stream: str) -> PreparedBatch:
    prepared, _ = store.prepared([Batch(stream, order())], eventstore.SYNCED, None)
    return prepared[0]


def test_closing_ends_the_repetitions(mounts: Mounts) -> None:
    journal = MemoryJournal()
    with mounts.serving(journal, wrap=Fickle(*[STOPPING] * 1_000)) as url:
        store = eventstore.connect(url, key="")
        failures: list[StoreError] = []

        def append() -> None:
            try:
                store.append(ORDER, order())
            except StoreError as e:
                failures.append(e)

        thread = threading.Thread(target=append)
        thread.start()
        while not store.waiting:
            thread.join(0.01)
        store.journal.close()
        thread.join(5.0)
        assert [type(failure) for failure in failures] == [Unavailable]


def test_a_service_that_is_full_is_not_asked_again_for_a_group(mounts: Mounts) -> None:
    fickle = Fickle(Inside(FULL))
    with mounts.serving(MemoryJournal(), wrap=fickle) as url, eventstore.connect(url, key="") as store:
        with pytest.raises(Overloaded):
            store.append(ORDER, order())
        assert (fickle.asked, store.head()) == (1, 0)


# What is too much at once


def test_groups_that_are_too_much_for_one_request_take_several(mounts: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal()
    with mounts.serving(journal) as url, eventstore.connect(url, key="") as store:
        monkeypatch.setattr(store.journal, "_body_bytes_max", 1_000)
        pending = [store.enqueue(ACCOUNT, balance(number)) for number in range(30)]
        store.flush()
        assert [each.result()[0].version for each in pending] == list(range(1, 31))
        with pytest.raises(EventTooLarge) as large:
            store.append_many([Batch(f"order/ACC1/{number}", order()) for number in range(30)])
        assert large.value.size > large.value.limit
        assert journal.head() == 30


# Who is not believed


class ChangingJournal(MemoryJournal):
    """A journal that says of one record what is not so."""

    @override
    def read(self, query: Query, /) -> list[Record]:
        return [replace(record, note="changed") if record.position == 2 else record for record in super().read(query)]

    @override
    def find(self, ids: object) -> dict[bytes, Record]:
        return {id_: replace(record, note="changed") for id_, record in super().find(ids).items()}  # type: ignore[arg-type]


class SkippingJournal(MemoryJournal):
    """A journal that leaves a record out."""

    @override
    def read(self, query: Query, /) -> list[Record]:
        return [record for record in super().read(query) if record.position != 2]


@pytest.mark.parametrize("kind", [ChangingJournal, SkippingJournal])
def test_a_service_that_says_what_is_not_so_is_found_out(mounts: Mounts, kind: type[MemoryJournal]) -> None:
    with mounts.serving(kind()) as url, eventstore.connect(url, key="") as store:
        first, *_ = store.append(ORDER, [order(), fill("T-1"), fill("T-2")])
        with pytest.raises(CorruptJournal) as corrupt:
            list(store.read())
        assert corrupt.value.position == 2
        verdict = store.verify()
        assert (verdict.ok, verdict.first_bad) == (False, 2)
        if kind is ChangingJournal:
            with pytest.raises(CorruptJournal):
                store.find(first.id)


def test_records_of_other_events_are_not_an_answer(mounts: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal()
    with mounts.serving(journal) as url, eventstore.connect(url, key="") as store:
        send = sent_group

        def send_another(group: list[PreparedBatch]) -> object:
            sent = send(group)
            (batch,) = sent.batches
            return replace(sent, batches=[replace(batch, stream="order/ACC1/another")])

        monkeypatch.setattr(groups, "sent_group", send_another)
        with pytest.raises(OutcomeUnknown, match="not those of the events"):
            store.append(ORDER, order())


# Whom it is by


def test_the_actor_is_the_keys_name_whatever_a_client_says(mounts: Mounts) -> None:
    with mounts.serving(MemoryJournal()) as url, eventstore.connect(url, key="") as store:
        with pytest.raises(InvalidEvent, match="name of the key"):
            store.append(ORDER, order(), actor="somebody")
        with pytest.raises(InvalidEvent, match="name of the key"):
            store.enqueue(ACCOUNT, balance(1), actor="policy:daily_loss")
        assert store.head() == 0


class OneAccountService:
    """An application whose caller may append for one account alone."""

    def __call__(self, app: ASGIApp, service: Service) -> ASGIApp:
        append = service.append

        async def checked(group: SentGroup, caller: Caller, *, by_book: bool = True) -> list[Record]:
            if any("/ACC2/" in batch.stream for batch in group.batches):
                msg = "the key is not for account 'ACC2'"
                raise NotAllowed(msg)
            return await append(group, caller, by_book=by_book)

        service.append = checked  # type: ignore[method-assign]
        return app


def test_what_a_key_may_not_append_keeps_nothing_else_out(mounts: Mounts) -> None:
    journal = MemoryJournal()
    with mounts.serving(journal, wrap=OneAccountService()) as url, eventstore.connect(url, key="") as store:
        streams = ("order/ACC1/1", "order/ACC2/2", "order/ACC1/3")
        outcomes = store.journal.commit([[_prepared(store, stream)] for stream in streams])  # type: ignore[attr-defined]
        refused = outcomes[1]
        assert isinstance(refused, Refused)
        assert (refused.status, "ACC2" in str(refused)) == (403, True)
        assert [record.stream for record in store.read()] == [streams[0], streams[2]]
        with pytest.raises(Refused, match="ACC2"):
            store.append(FOREIGN, order())


def test_times_that_were_not_stated_are_the_services(mounts: Mounts) -> None:
    clock = ManualClock(OCCURRED_AT)
    with mounts.serving(MemoryJournal(clock=clock), clock) as url, eventstore.connect(url, key="") as store:
        (record,) = store.append(ORDER, order())
        (stated,) = store.append(ORDER, order(), occurred_at=OCCURRED_AT - 1)
    assert (record.occurred_at, record.recorded_at) == (OCCURRED_AT, OCCURRED_AT)
    assert stated.occurred_at == OCCURRED_AT - 1


def test_what_needs_the_logs_directory_is_refused_in_words(mounts: Mounts, tmp_path: Path) -> None:
    with mounts.serving(MemoryJournal()) as url, eventstore.connect(url, key="") as store:
        with pytest.raises(Unavailable, match="InfluxDB"):
            store.append(ORDER, order(), durability=eventstore.MIRRORED)
        with pytest.raises(Unavailable, match="directory"):
            _ = store.mirror
        with pytest.raises(InvalidEvent, match="directory"):
            store.backup(tmp_path / "copy")
        assert store.head() == 0


def test_a_closed_client_says_so_to_those_who_follow(mounts: Mounts) -> None:
    with mounts.serving(MemoryJournal()) as url:
        store = eventstore.connect(url, key="")
        threading.Timer(0.1, store.close).start()
        with pytest.raises(Closed):
            next(store.follow())
