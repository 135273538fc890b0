"""Members that serve: who answers about an account, what each answer says, and owners that do not answer."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest

import eventstore
from eventstore import Unavailable
from eventstore.clock import SystemClock
from eventstore.remote.identity import LOG_ID_HEADER
from eventstore.side import LogSide
from eventstore.trading import OrderSubmitted, Side
from gateways.http import owners
from gateways.http.access import NotAuthenticated, Scope
from gateways.http.keys import KeyAuthenticator, KeyDocument
from gateways.http.owners import ANSWERED_BY, ANSWERED_FROM, CUT, FORWARDED_BY, OWNER, OWNER_SECONDS
from projections.book import Book
from projections.membership import SILENT_SECONDS, NotOwner
from projections.shares import SHARES, share_of
from tests.postgres.desks import ACCOUNTS
from tests.postgres.member_services import ServedDesk, ServedMember, opened, stranger
from tests.waiting import until


@pytest.fixture
def desk(postgres_url: str) -> Iterator[ServedDesk]:
    with ExitStack() as stack:
        served = ServedDesk(postgres_url, stack)
        opened(served.store)
        yield served


def divided(*members: ServedMember) -> None:
    """Wait until the members share all accounts, and know that."""
    part = SHARES // len(members)
    until(lambda: all(len(each.worker.shares) == part for each in members))
    others = [(each, account) for each in members for account in ACCOUNTS if not each.worker.owns(account)]
    until(lambda: all(each.worker.owner(account) is not None for each, account in others))


def own_account(member: ServedMember) -> str:
    return next(account for account in ACCOUNTS[2:] if member.worker.owns(account))


def test_an_account_is_answered_by_its_owner_whichever_member_is_asked(desk: ServedDesk) -> None:
    first, second = desk.member("a"), desk.member("b")
    divided(first, second)
    for owner in (first, second):
        account = own_account(owner)
        for path, params in (
            ("/v1/state/orders", {"account": account}),
            ("/v1/accounts", {"account": account}),
            (f"/v1/limits/{account}", {}),
            (f"/v1/enforcement/{account}", {}),
        ):
            answers = [each.client.get(path, params=params) for each in (first, second)]
            for answer in answers:
                assert answer.status_code == 200, answer.text
                assert (answer.headers[ANSWERED_FROM], answer.headers[ANSWERED_BY]) == (OWNER, owner.id)
                assert answer.json()["log_position"] == desk.store.head()
            if path == "/v1/state/orders":
                assert answers[0].json()["state"] == answers[1].json()["state"] != []
    # What was committed a moment ago is in the next answer, also in that of the member that forwards.
    account = own_account(second)
    desk.store.append(f"order/{account}/O-2", OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1)))
    assert len(first.orders(account).json()["state"]) == 2


OTHER_HOST = "http://192.0.2.1:8000"


class Pretended:
    """Two members; the first one finds the owner of the second one's account where a test says that it is."""

    def __init__(self, desk: ServedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk, self.asking, self._monkeypatch = desk, desk.member("a"), monkeypatch
        owner = desk.member("b")
        divided(self.asking, owner)
        self.account = own_account(owner)
        self._numbers = itertools.count()

    def owner(self, url: str) -> str:
        """Say where the owner is, and return by which id: one that has not answered is not asked again at once."""
        found = self.asking.worker.owner(self.account)
        assert found is not None
        pretended = found._replace(url=url, id=f"b{next(self._numbers)}")
        self._monkeypatch.setattr(self.asking.worker, "owner", lambda _: pretended)
        return pretended.id

    def marks(self, id: str) -> dict[str, str]:
        return {ANSWERED_BY: id, LOG_ID_HEADER: self.desk.store.log_id.hex()}

    def has_cut(self) -> None:
        """Ask, with a key: the answer is from the newest cut, and soon there."""
        began = time.monotonic()
        answer = self.asking.orders(self.account, authorization="Bearer secret")
        assert time.monotonic() - began < OWNER_SECONDS + 2
        assert (answer.status_code, answer.headers[ANSWERED_FROM], answer.headers[ANSWERED_BY]) == (200, CUT, "a")
        assert answer.json()["log_position"] == self.desk.store.head()
        assert len(answer.json()["state"]) == 1


@pytest.fixture
def pretended(desk: ServedDesk, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    return Pretended(desk, monkeypatch)


def test_an_owner_that_cannot_be_reached_is_replaced_by_the_newest_cut(pretended: Pretended) -> None:
    for url in ("", "no URL", "http://127.0.0.1:9", OTHER_HOST, "ftp://127.0.0.1", "http://a:b@c/", "http://x.invalid"):
        pretended.owner(url)
        pretended.has_cut()
    unknown = pretended.asking.orders("ACC99")
    assert unknown.status_code == 404
    assert unknown.json()["detail"] == "log main has no account 'ACC99'"


def test_a_server_that_is_not_a_member_gets_no_key_and_gives_no_answer(pretended: Pretended) -> None:
    answers: list[dict[str, Any]] = [
        {},
        {"answer": (307, {"location": "http://127.0.0.1:9/"}, b"")},
        {"answer": (200, {ANSWERED_BY: "b1", ANSWERED_FROM: OWNER}, b'{"state": []}')},
        {"answer": (401, {"content-type": "application/problem+json"}, b"{}")},
        {"answer": (200, {"content-length": "999"}, b"{}")},
        {"wait": threading.Event()},
    ]
    for members in answers:
        with stranger(members) as (url, asked):
            pretended.owner(url)
            pretended.has_cut()
            assert asked == [("/health/live", None)]
            # Not each request waits for it.
            pretended.has_cut()
            assert len(asked) == 1
            if "wait" in members:
                members["wait"].set()
    # One that says what it should, on a connection that it ends: the next one could lead elsewhere.
    closing: dict[str, Any] = {}
    with stranger(closing) as (url, asked):
        closing |= {"alive": {**pretended.marks(pretended.owner(url)), "connection": "close"}}
        pretended.has_cut()
        assert asked == [("/health/live", None)]


def test_what_the_owner_has_not_answered_as_such_is_replaced_by_the_newest_cut(
    pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "ANSWER_BYTES_MAX", 50)
    own, state, problem = {ANSWERED_FROM: OWNER}, b'{"state": []}', {"content-type": "application/problem+json"}
    for status, headers, body in (
        (200, {ANSWERED_FROM: CUT}, state),
        (200, {}, state),
        (200, {**own, "content-type": "text/html"}, state),
        (200, own, state + b" " * 100),
        (200, {**own, ANSWERED_BY: "a"}, state),
        (403, own, state),
        (421, problem, state),
        (500, own, state),
        (307, {**own, "location": "/v1/head"}, state),
    ):
        members: dict[str, Any] = {}
        with stranger(members) as (url, asked):
            marks = pretended.marks(pretended.owner(url))
            members |= {"answer": (status, {**marks, **headers}, body), "alive": marks}
            pretended.has_cut()
            assert asked == [
                ("/health/live", None), (f"/v1/state/orders?account={pretended.account}", "Bearer secret"),
            ]  # fmt: skip


def test_the_service_of_another_log_or_member_is_not_the_owner(
    desk: ServedDesk, postgres_16_url: str, tmp_path: object
) -> None:
    with eventstore.open(postgres_16_url) as store:
        opened(store)
    elsewhere = desk.member("b", log_url=postgres_16_url)
    first, second = desk.member("a"), desk.member("b", url=elsewhere.url)
    divided(first, second)
    assert first.orders(own_account(second)).headers[ANSWERED_FROM] == CUT
    # The URL of the asking member itself, as of two that were started with one URL.
    third = desk.member("c", url=first.url)
    until(lambda: len(third.worker.shares) >= SHARES // 3)
    account = own_account(third)
    until(lambda: first.worker.owner(account) is not None)
    assert first.orders(account).headers[ANSWERED_FROM] == CUT


def test_what_was_forwarded_is_not_forwarded_again(desk: ServedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = desk.member("a"), desk.member("b")
    divided(first, second)
    account = own_account(second)
    refused = first.orders(account, **{FORWARDED_BY: "x"})
    assert (refused.status_code, refused.json()["title"]) == (421, "NotOwner")
    # Each takes the other for the owner, as while partitions change hands.
    of_second = first.worker.owner(account)
    of_first = second.worker.owner(own_account(first))
    monkeypatch.setattr(first.worker, "owner", lambda _: of_second)
    monkeypatch.setattr(second.worker, "owner", lambda _: of_first)
    for member in (first, second):
        monkeypatch.setattr(member.worker, "_works", lambda *_: False)
        monkeypatch.setattr(member.worker, "owns", lambda _: False)
    for member in (first, second):
        answer = member.orders(account)
        assert (answer.status_code, answer.headers[ANSWERED_FROM], answer.headers[ANSWERED_BY]) == (200, CUT, member.id)


def test_an_account_that_is_lost_while_it_is_asked_about_is_not_answered_as_owned(desk: ServedDesk) -> None:
    member = desk.member("a")
    until(lambda: len(member.worker.shares) == SHARES)
    account = own_account(member)

    def losing(book: Book) -> int:
        member.worker.member.release([share_of(account)])
        return book.position

    def failing(book: Book) -> int:
        losing(book)
        raise LookupError

    for question in (losing, failing):
        until(lambda: member.worker.owns(account))
        with pytest.raises(NotOwner, match=account):
            member.worker.ask(account, question)

    for lost in (share_of(account), (share_of(account) + 1) % SHARES):

        def ending(book: Book, share: int = lost) -> None:
            """Lose this account or another one: the next book begins, and this one stands still from then on."""
            member.worker.member.release([share])
            until(lambda: member.worker.book not in {book, None} and len(member.worker.shares) == SHARES)

        until(lambda: len(member.worker.shares) == SHARES)
        with pytest.raises(NotOwner):
            member.worker.ask(account, ending)
    assert member.worker.ask(account, lambda book: book.position) == desk.store.head()


def test_a_silent_owner_is_not_asked(desk: ServedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = desk.member("a"), desk.member("b")
    divided(first, second)
    account = own_account(second)
    seen = [each._replace(silent_seconds=SILENT_SECONDS if each.id == "b" else 0.0) for each in first.worker.members]
    monkeypatch.setattr(first.worker.member, "beat", lambda _: seen)
    until(lambda: first.worker.owner(account) is None)
    assert first.orders(account).headers[ANSWERED_FROM] == CUT
    monkeypatch.undo()
    until(lambda: first.worker.owner(account) is not None)

    # Nor one that was seen last too long ago.
    def unreached(_: int) -> None:
        raise Unavailable(account)

    monkeypatch.setattr(first.worker.member, "beat", unreached)
    assert until(lambda: first.worker.owner(account) is None) < SILENT_SECONDS * 2


def test_a_cut_has_what_is_judged_together(desk: ServedDesk) -> None:
    member = desk.member("a")
    until(lambda: len(member.worker.shares) == SHARES)
    one, other = ACCOUNTS[:2]
    question: Callable[[Book], tuple[object, ...]] = lambda book: (  # noqa: E731 - asked twice
        book.covers(other), book.position, book.groups.members("pair"), book.orders.open(one), book.limits.of(one),
    )  # fmt: skip
    assert member.worker.ask_cut(one, question) == member.worker.ask(one, question)
    assert not member.worker.ask_cut(ACCOUNTS[2], lambda book: book.covers(one))


def test_what_concerns_more_than_one_account_is_refused(desk: ServedDesk) -> None:
    member = desk.member("a")
    until(lambda: len(member.worker.shares) == SHARES)
    account = own_account(member)
    client = member.client
    for answer in (
        client.get("/v1/accounts"),
        client.get("/v1/state/orders"),
        client.get("/v1/state/groups", params={"account": account}),
        client.get("/v1/state/contracts"),
        client.get("/v1/head"),
        client.get("/metrics"),
        client.get("/"),
        client.post(f"/v1/orders/{account}/submit", json={}),
        client.post(f"/v1/streams/order/{account}/O-9", json={"events": []}),
        client.post(f"/v1/enforcement/{account}", json={}),
    ):
        assert (answer.status_code, answer.json()["title"]) == (421, "NotServedHere"), answer.text
        assert "eventstore serve" in answer.json()["next"]
    assert client.head("/v1/accounts", params={"account": account}).status_code == 421
    assert client.get("/health/live").json() == {"status": "live"}
    two = client.get("/v1/state/orders", params={"account": [account, account]})
    assert (two.status_code, two.json()["path"]) == (422, "/account")
    for name in ("-", "@pair", "a/b"):
        assert member.orders(name).status_code == 422
    nothing = client.get("/v1/state/nothing", params={"account": account})
    assert (nothing.status_code, nothing.headers[ANSWERED_BY]) == (404, "a")


class TestKeys:
    @pytest.fixture
    def keys(self, desk: ServedDesk) -> KeyDocument:
        assert isinstance(desk.store.side, LogSide)
        return KeyDocument(desk.store.side)

    @pytest.fixture
    def watched(self, desk: ServedDesk, keys: KeyDocument) -> Iterator[KeyDocument]:
        """What the services look at; it is never used to add a key."""
        keys.add("every", [Scope.ADMIN], now=SystemClock().now_ns(), by="ann")
        assert isinstance(desk.store.side, LogSide)
        watched = KeyDocument(desk.store.side)
        with watched.watched():
            yield watched

    def test_both_members_judge_the_callers_key(
        self, desk: ServedDesk, keys: KeyDocument, watched: KeyDocument, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = SystemClock().now_ns()
        guards = [KeyAuthenticator(watched, SystemClock(), "local") for _ in range(2)]
        first, second = (desk.member(id, authenticator=guard) for id, guard in zip("ab", guards, strict=True))
        divided(first, second)
        account = own_account(second)
        _, own = keys.add("own", [Scope.READ], now=now, by="ann", accounts=(account,))
        _, foreign = keys.add("foreign", [Scope.READ], now=now, by="ann", accounts=(own_account(first),))
        _, useless = keys.add("useless", [Scope.APPEND], now=now, by="ann", accounts=(account,))
        until(lambda: first.orders(account, authorization=f"Bearer {useless}").status_code == 403)
        until(lambda: second.orders(account, authorization=f"Bearer {own}").status_code == 200)
        answer = first.orders(account, authorization=f"Bearer {own}")
        assert (answer.status_code, answer.headers[ANSWERED_BY]) == (200, "b")

        asked: list[str] = []
        works = second.worker.ask

        def noted(name: str, question: Callable[[Book], object]) -> object:
            asked.append(name)
            return works(name, question)

        monkeypatch.setattr(second.worker, "ask", noted)
        for key, status in ((foreign, 403), (useless, 403), ("x", 401)):
            refused = first.orders(account, authorization=f"Bearer {key}")
            assert (refused.status_code, refused.headers[ANSWERED_BY]) == (status, "a"), refused.text
        assert first.orders(account).status_code == 401
        assert asked == []

        # Revoked a moment ago, which the owner knows already.
        def revoked(_: object) -> object:
            msg = "revoked"
            raise NotAuthenticated(msg)

        monkeypatch.setattr(guards[1], "caller", revoked)
        refused = first.orders(account, authorization=f"Bearer {own}")
        assert (refused.status_code, refused.headers[ANSWERED_BY]) == (401, "b")
        assert asked == []
