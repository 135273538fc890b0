"""The demo passes from end to end, quickly, and its day is the same in each run, wherever it is interrupted."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, Record
from eventstore.trading import EnforcementTaken, EquityMarked, LimitsSet, LockoutSet, Marked, OrderFilled, QuotesKept
from gateways.cli import demo
from gateways.demo import child, outage
from gateways.demo.child import ChildReport
from gateways.demo.day import ACCOUNTS, CLOSES_AT, DESK, EVENTS, INSTRUMENTS, LOSS_MAX, RESET_AT, contracts
from gateways.demo.feed import ACCOUNT, BEGINS_AT, LAST, Desk
from gateways.demo.history import DATA
from gateways.demo.outage import ABSURD
from gateways.demo.screen import Show
from gateways.demo.trading import TradingLoop, net
from projections import Policies
from projections.valuation import Status
from tests.cli.command import Run, on_terminal
from tests.proving import cases

AFTER_THE_LOCKOUT = 14_626

Facts = list[tuple[str, str, int, bytes, bytes]]


class CutShort(Exception):
    """The process is gone."""


def play(store: EventStore, *, cut_at: int | None = None) -> None:
    """Play the day, and lose the process once so many events are on disk, before it hears of the last ones."""

    def acknowledged(records: object) -> None:
        if cut_at is not None and store.head() >= cut_at:
            raise CutShort

    TradingLoop(store, acknowledged).run()


def facts(store: EventStore) -> Facts:
    def fact(record: Record) -> tuple[str, str, int, bytes, bytes]:
        return record.stream, record.type, record.occurred_at, record.data, record.id

    return [fact(record) for record in store.read()]


@pytest.fixture(scope="module")
def played(demo_directory: Path) -> Path:
    """Return the directory of a day that was played in one piece."""
    return demo_directory / DATA


def facts_in(directory: Path) -> Facts:
    with eventstore.open(directory, read_only=True) as store:
        return facts(store)


@pytest.mark.slow
@pytest.mark.untraced
def test_the_day_is_as_promised(played: Path) -> None:
    day = facts_in(played)
    assert len(day) == EVENTS
    streams = [stream.split("/") for stream, *_ in day]
    assert {account for category, account, _ in streams if category == "order"} == set(ACCOUNTS)
    assert [fact.stream.split("/")[2] for fact in contracts()] == list(INSTRUMENTS)
    kinds = {kind for _, kind, *_ in day}
    assert {"OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderCanceled", "OrderReplaced"} <= kinds
    assert {"OrderRejected", "FeeCharged", "OrderReported", "PositionReported", "LockoutSet", "Marked"} <= kinds
    # The prices behind the lockout are kept, and no price is missing at any time.
    assert "QuotesKept" in kinds
    assert "QuotesWanted" not in kinds
    assert max(occurred_at for _, _, occurred_at, *_ in day) < CLOSES_AT


def test_a_day_that_was_cut_short_is_the_beginning_of_a_day(tmp_path: Path, played: Path) -> None:
    with eventstore.open(tmp_path) as store:
        with pytest.raises(CutShort):
            play(store, cut_at=1_000)
        begun = facts(store)
    assert len(begun) >= 1_000
    assert begun == facts_in(played)[: len(begun)]


def play_to_the_loss(store: EventStore, lockout: Record) -> None:
    """Play until the loss is in the journal, and what follows from it is not."""
    flush = Policies.flush

    def cut_short(policies: Policies) -> None:
        if store.head() >= lockout.position - 1:
            raise CutShort
        flush(policies)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Policies, "flush", cut_short)
        with pytest.raises(CutShort):
            play(store)
    assert store.head() == lockout.position - 1


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.prove
@pytest.mark.parametrize(
    ("at_loss", "cut_at"),
    cases(test=[(True, AFTER_THE_LOCKOUT)], prove=[(True, None), (False, AFTER_THE_LOCKOUT), (False, 9_800)]),
)
def test_a_day_that_was_cut_short_continues_to_the_same_end(
    tmp_path: Path, played: Path, at_loss: bool, cut_at: int | None
) -> None:
    """Just before the lockout, just after it, and earlier."""
    with eventstore.open(played, read_only=True) as store:
        (lockout,) = store.read(types=LockoutSet)
    assert lockout.position < AFTER_THE_LOCKOUT
    with eventstore.open(tmp_path) as store:
        if at_loss:
            play_to_the_loss(store, lockout)
        if cut_at is not None:
            with pytest.raises(CutShort):
                play(store, cut_at=cut_at)
            assert cut_at <= store.head() < EVENTS
        play(store)
    assert facts_in(tmp_path) == facts_in(played)


def test_the_log_itself_says_who_set_the_limit_and_which_fill_reached_it(played: Path) -> None:
    with eventstore.open(played, read_only=True) as store:
        (lockout,) = store.read(types=LockoutSet)
        assert lockout.actor == "policy:daily-loss"
        assert isinstance(lockout.event, LockoutSet)
        assert isinstance(lockout.event.details, dict)
        assert lockout.causation_id is not None
        cause = store.find(lockout.causation_id)
        limit = next(store.read(after=lockout.event.details["limit_position"] - 1, limit=1))
        assert cause is not None
        assert isinstance(cause.event, OrderFilled)
        before = projections.as_of(store, position=cause.position - 1, account=lockout.account)
        after = projections.as_of(store, position=cause.position, account=lockout.account)
        answers = list(store.read(types=EnforcementTaken))
    assert (limit.actor, limit.account) == (DESK, lockout.account)
    assert isinstance(limit.event, LimitsSet)
    assert limit.event.parameters["limit"] == str(LOSS_MAX)
    assert net(before, lockout.account) > -LOSS_MAX >= net(after, lockout.account)
    assert [answer.account for answer in answers] == [lockout.account] * 2


def test_a_locked_account_opens_nothing_more(played: Path) -> None:
    with eventstore.open(played, read_only=True) as store:
        (lockout,) = store.read(types=LockoutSet)
        assert isinstance(lockout.event, LockoutSet)
        assert (lockout.event.revocable, lockout.event.until) == (False, RESET_AT)
        later = list(store.read(after=lockout.position, account=lockout.account, types="OrderSubmitted"))
    assert later
    assert all(getattr(record.event, "reduce_only", False) for record in later)


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.prove
@pytest.mark.parametrize(("columns", "as_json"), cases(test=[(80, True)], prove=[(80, False), (120, False)]))
def test_the_demo_holds_and_its_day_is_the_same_in_each_run(
    shell: Run, tmp_path: Path, played: Path, columns: int, as_json: bool
) -> None:
    """It says so on a terminal, and gives its findings to a program."""
    command = ["demo", "--keep", str(tmp_path / "kept")]
    if as_json:
        screen = on_terminal([*command, "--json"], columns, tmp_path / "out", NO_COLOR="1")
    else:
        screen = on_terminal(command, columns, NO_COLOR="1")
    assert screen.code == 0, screen.out
    check_the_screen(screen.out, columns, tmp_path)
    assert facts_in(tmp_path / "kept" / "data") == facts_in(played)
    if not as_json:
        return
    result = json.loads((tmp_path / "out").read_text())
    assert result["ok"] is True
    assert all(result["checks"].values())
    assert len(result["checks"]) == 24
    assert result["found"] == result["acknowledged"] > 0
    assert result["events"] == EVENTS
    assert result["first_bad"] == result["tampered_position"] == result["lockout"]["cause"]
    assert result["lockout"]["limit_set_by"] == DESK
    assert "verify: position" in screen.out
    check_what_it_left(tmp_path / "kept", shell, result["lockout"])
    check_the_feed(tmp_path / "kept", result["outage"])


def check_the_feed(directory: Path, result: dict[str, object]) -> None:
    """The second log says by itself what happened while the feed was dead, and locks nothing any more."""
    with eventstore.open(directory / "feed") as store:
        records = list(store.read())
        book = projections.as_of(store, position=store.head(), account=ACCOUNT)
        locked = book.lockouts.active(ACCOUNT, records[-1].recorded_at)
        history = book.lockouts.history(ACCOUNT)
        assert store.verify().ok
    assert (result["account"], result["events"]) == (ACCOUNT, len(records))
    kinds = [record.type for record in records if record.actor.startswith("policy")]
    expected = ("QuotesWanted", "LimitUnjudged", "QuotesKept", "LockoutSet", "LockoutCleared")
    places = [kinds.index(kind) for kind in expected]
    assert places == sorted(places)
    assert "EnforcementRequested" not in kinds
    assert [(each.rule_id, each.revocable) for each in history] == [("unpriced", True)]
    assert locked == ()
    marks = [record.event for record in records if isinstance(record.event, EquityMarked)]
    assert max(mark.high_water for mark in marks) == Decimal(str(result["equity"])) == 50_400
    evidence = [record.event for record in records if isinstance(record.event, QuotesKept)][-1]
    assert [quote.last for quote in evidence.quotes if quote.ignored] == [ABSURD]


def test_a_feed_whose_process_ends_early_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo fails, and continues to its end."""
    monkeypatch.setattr(outage, "COMMAND", "no-such-command")
    show = Show(tmp_path, io.StringIO())
    outage.lose_a_feed(show)
    assert show.checks == {"the feed's process": False}


@pytest.mark.parametrize("last", ["6664.25", "6650.00"])
def test_a_price_near_the_last_one_is_not_absurd(tmp_path: Path, last: str) -> None:
    """The scene's checks can fail: an ordinary price in the place of the absurd one moves the equity."""
    desk = Desk(tmp_path, BEGINS_AT)
    desk.begin()
    desk.quote(LAST)
    desk.quote(LAST)
    before = desk.see()
    desk.quote(Decimal(last))
    after = desk.see()
    assert (before.status, after.status) == (Status.KNOWN, Status.KNOWN)
    assert before.equity != after.equity
    desk.quote(ABSURD)
    assert desk.see().equity == after.equity
    desk.close()


def check_what_it_left(directory: Path, shell: Run, lockout: dict[str, object]) -> None:
    """What the demo advises at its end has to work as it is written there."""
    data = directory / "data"
    assert shell("verify", "--data", data).code == 0
    assert shell("verify", "--data", directory / "tampered").code == 1
    before = shell("as-of", lockout["minute_before"], "--occurred-at", "--data", data, "--json").document
    net = {total["account"]: total["net"] for total in before["totals"]}
    assert net[lockout["account"]] == lockout["net_before"]
    assert before["lockouts"] == []
    changes = shell("diff", lockout["position_before"], lockout["position"], "--data", data, "--json").document
    assert any(change["view"] == "lockouts" for change in changes["changes"])


def test_a_demo_in_which_a_check_fails_says_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the processes acknowledge what no journal holds."""
    report = ChildReport(acknowledged={1: "00" * 32}, killed=True)
    monkeypatch.setattr(child, "listen", lambda *_, **__: report)
    with eventstore.open(tmp_path / "kept" / "data") as store:
        store.append("mark/-/x", Marked(name="x"))
    monkeypatch.setattr(demo, "_directory", lambda _: tmp_path / "kept")
    ended = run("demo")
    assert ended.code == 1
    assert "WRONG  acknowledged 1, found 0" in ended.out


def test_the_demo_leaves_a_directory_of_others_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    ended = run("demo", "--keep", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def check_the_screen(shown: str, columns: int, directory: Path) -> None:
    assert "24 of 24 checks passed" in shown
    assert "\x1b[3" not in shown, "NO_COLOR is respected"
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rpartition("\r")[2] for line in shown.split("\r\n")]
    # What is there to be copied is in one piece, however long the directory's name makes it.
    long = [line for line in lines if len(line) > columns and not line.startswith("  ") and str(directory) not in line]
    assert long == []
