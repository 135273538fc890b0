"""CCXT's movements of cash: each counts once, with its sign, and what trades state does not count again."""

from decimal import Decimal

import pytest

from eventstore.trading import (
    CashKind,
    CashMoved,
    NoteAdded,
)
from gateways.messages import Unmapped
from gateways.messages.ccxt import LedgerFee
from tests.messages import ccxt_structures as made
from tests.messages.ccxt_mapping import events, only, with_settings

D = Decimal
MS = 1_000_000


@pytest.mark.parametrize(
    ("message", "kind", "amount"),
    [
        (made.funding(), CashKind.FUNDING, "-1.25"),
        (made.funding(amount=0.5), CashKind.FUNDING, "0.5"),
        (made.ledger(), CashKind.TRANSFER, "100"),
        (made.ledger(direction="out"), CashKind.TRANSFER, "-100"),
        (made.ledger(direction="out", amount=-100.0), CashKind.TRANSFER, "-100"),
        (made.ledger(type="rebate"), CashKind.FEE, "-100"),
        (made.ledger(type="referral"), CashKind.FEE, "-100"),
        (made.ledger(type="deposit"), CashKind.DEPOSIT, "100"),
        (made.ledger(type="transaction", direction="out"), CashKind.WITHDRAWAL, "-100"),
        (made.ledger(type="interest", direction="out"), CashKind.INTEREST, "-100"),
        (made.ledger(type="fee", direction="out", info={"incomeType": "FUNDING_FEE"}), CashKind.FUNDING, "-100"),
        (made.ledger(type="settlement", direction="out", info={"incomeType": "INSURANCE_CLEAR"}), CashKind.FEE, "100"),
        (made.ledger(type="rebate", info={"incomeType": "COMMISSION_REBATE"}), CashKind.FEE, "-100"),
    ],
)
def test_cash_has_the_sign_of_its_direction(message: dict[str, object], kind: CashKind, amount: str) -> None:
    event = only(message)
    assert isinstance(event, CashMoved)
    assert (event.kind, event.amount, event.currency) == (kind, D(amount), "USDT")


@pytest.mark.parametrize(
    "message",
    [
        made.ledger(type="trade"),
        made.ledger(type="commission", direction="out"),
        made.ledger(type="trade", info={"incomeType": "REALIZED_PNL"}),
        made.ledger(type="commission", info={"incomeType": "COMMISSION"}),
        made.ledger(type="settlement", info={"incomeType": "DELIVERED_SETTELMENT"}),
        made.ledger(status="pending"),
        made.ledger(status="canceled"),
        made.transaction(status="failed"),
        made.transaction(status="pending"),
        made.transfer(status="failed"),
    ],
)
def test_what_trades_state_and_what_never_moved_is_left_out(message: dict[str, object]) -> None:
    assert events(message, with_settings(wallet="swap")) == ()


@pytest.mark.parametrize(
    "message",
    [
        made.ledger(type="airdrop"),
        made.ledger(type=None),
        made.ledger(type="fee", direction="out"),
        made.ledger(type="settlement"),
        made.ledger(info={"incomeType": "NEW_WORD"}),
        made.transaction(type="swap"),
    ],
)
def test_cash_of_an_unknown_type_is_a_note_with_the_word(message: dict[str, object]) -> None:
    event = only(message)
    assert isinstance(event, NoteAdded)
    assert str(message["type"]) in event.text
    assert event.tags == ("unknown-cash", "ccxt/binance")


@pytest.mark.parametrize(
    ("fee", "kind", "amount"),
    [
        (LedgerFee.FUNDING, CashKind.FUNDING, "-100"),
        (LedgerFee.OTHER, CashKind.FEE, "100"),
        (LedgerFee.OF_TRADES, None, ""),
    ],
)
def test_what_a_ledgers_fee_is_is_a_setting(fee: LedgerFee, kind: CashKind | None, amount: str) -> None:
    found = events(made.ledger(type="fee", direction="out"), with_settings(ledger_fee=fee))
    reported = [(each.event.kind, each.event.amount) for each in found]  # type: ignore[attr-defined]
    assert reported == ([] if kind is None else [(kind, D(amount))])


def test_one_payment_reported_by_two_requests_is_one_record() -> None:
    by_history = events(made.funding(id="9001"))
    by_ledger = events(
        made.ledger(
            id="9001", type="fee", direction="out", amount=1.25, currency="USDT", info={"incomeType": "FUNDING_FEE"}
        )
    )
    assert by_history == by_ledger
    elsewhere = made.ledger(id="9001", type="fee", direction="out", amount=1.25)
    assert events(elsewhere, with_settings(ledger_fee=LedgerFee.FUNDING)) == by_history


def test_an_id_is_unique_within_its_type_only() -> None:
    words = ("TRANSFER", "INSURANCE_CLEAR", "FUNDING_FEE", "API_REBATE")
    keys = {events(made.ledger(id="5", info={"incomeType": word}))[0].key for word in words}
    assert len(keys) == len(words)


def test_a_payment_without_an_id_is_that_of_its_contract_and_time() -> None:
    keys = {
        events(made.funding(id=None, **each))[0].key
        for each in ({}, {"symbol": "ETH/USDT:USDT"}, {"timestamp": made.START + 8})
    }
    assert len(keys) == 3
    with pytest.raises(Unmapped):
        events(made.funding(id=None, timestamp=None))


def test_a_withdrawal_and_its_fee() -> None:
    moved, fee = events(made.transaction(type="withdrawal"))
    assert moved.event == CashMoved(
        amount=D(1000), currency="USDT", kind=CashKind.WITHDRAWAL, reference="withdrawal-D-1"
    )
    assert fee.event == CashMoved(amount=D(1), currency="USDT", kind=CashKind.FEE, reference="withdrawal-D-1:fee")


@pytest.mark.parametrize(
    ("members", "amounts"),
    [
        ({}, ["500"]),
        ({"fromAccount": "swap", "toAccount": "spot"}, ["-500"]),
        ({"fromAccount": "spot", "toAccount": "margin"}, []),
        ({"fromAccount": "swap", "toAccount": "swap"}, []),
        ({"status": None}, ["500"]),
    ],
)
def test_a_transfer_is_into_or_out_of_the_accounts_wallet(members: dict[str, object], amounts: list[str]) -> None:
    found = events(made.transfer(**members), with_settings(wallet="swap"))
    assert [each.event.amount for each in found] == [D(each) for each in amounts]  # type: ignore[attr-defined]


def test_a_transfer_needs_to_know_the_accounts_wallet() -> None:
    with pytest.raises(Unmapped, match="wallet"):
        events(made.transfer())


@pytest.mark.parametrize(
    "members", [{"direction": None}, {"amount": None}, {"id": None}, {"currency": None}, {"status": "?"}]
)
def test_a_movement_of_cash_that_lacks_what_it_is_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(Unmapped):
        events(made.ledger(**members))


def test_a_liquidation_is_a_note_because_its_trades_are_the_executions() -> None:
    event = only(made.liquidation())
    assert event == NoteAdded(
        target="position/A/BTC%2FUSDT:USDT",
        text="liquidation of BTC/USDT:USDT, side sell, contracts 50, price 55000.5, baseValue 0.5, quoteValue 27500.25",
        tags=("liquidation", "ccxt/binance"),
    )


@pytest.mark.parametrize(
    ("coin", "code"),
    [
        ("USDT", "USDT"),
        ("1000SATS", "1000SATS"),
        ("OP", "OPCOIN"),
        ("W", "WCOIN"),
        ("kPEPE", "KPEPE"),
        ("US DT", "USDT"),
    ],
)
def test_a_coin_has_a_code(coin: str, code: str) -> None:
    assert only(made.funding(code=coin)).currency == code


def test_long_names_of_coins_stay_apart_and_a_setting_names_them() -> None:
    names = ("HARRYPOTTEROBAMA", "HARRYPOTTERSONIC")
    codes = {only(made.funding(code=each)).currency for each in names}
    assert len(codes) == 2
    assert all(len(code) == 10 for code in codes)
    assert only(made.funding(code="OP"), with_settings(codes={"OP": "OPT"})).currency == "OPT"


def test_what_names_no_coin_is_refused() -> None:
    for coin in ("", None, "¥", 5):
        with pytest.raises(Unmapped):
            events(made.funding(code=coin))
