"""What a key for some accounts reads of a log: its own accounts, and of what belongs to none what names none either."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import eventstore
import projections
from eventstore import Refused
from eventstore.trading import ContractDefined, GroupDefined, Marked, NoteAdded, OrderSubmitted, Side
from gateways.http.access import Caller, Scope
from tests.http.callers import ByName, asked
from tests.http.serving import Running, running

OWN = Caller("own", frozenset({Scope.READ, Scope.AUDIT}), frozenset({"ACC1"}))
WITH_SHARED = Caller("shared", frozenset({Scope.READ, Scope.AUDIT}), frozenset({"ACC1", "-"}))
SECRET = "ACC2"
ORDER = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("limited"), authenticator=ByName(OWN, WITH_SHARED)) as found:
        store = found.service.store.sync_store
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        store.append("group/-/desk", GroupDefined(accounts=("ACC1", SECRET)), actor="ana@desk/tool")
        store.append("note/-/1", NoteAdded(target=f"order/{SECRET}/O-1", text="why"))
        store.append("mark/-/open", Marked(name="open"))
        store.append(f"order/{SECRET}/O-1", ORDER, key="secret")
        store.append("order/ACC1/O-1", ORDER)
        yield found


@pytest.mark.parametrize("name", ["own", "shared"])
@pytest.mark.parametrize("account", ["-", "ACC1"])
def test_records_of_no_account_that_name_one_are_left_out(service: Running, name: str, account: str) -> None:
    answer = asked(service, "/v1/records", name, account=account)
    assert answer.status_code == 200
    assert SECRET not in answer.text
    streams = [record["stream"] for record in answer.json()["records"]]
    assert streams == (["order/ACC1/O-1"] if account == "ACC1" else ["contract/-/ESZ5", "mark/-/open"])


@pytest.mark.parametrize("name", ["own", "shared"])
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/records", {"account": SECRET}),
        ("/v1/records", {}),
        ("/v1/records", {"account": "ACC1", "stream": f"order/{SECRET}/O-1"}),
        ("/v1/columns", {"account": "-", "members": "stream,data"}),
        ("/v1/columns", {"account": "-", "members": "stream,data", "stream": "group/-/desk"}),
        ("/v1/columns", {"account": SECRET, "members": "data"}),
        ("/v1/version", {"stream": "group/-/desk"}),
        ("/v1/version", {"stream": f"order/{SECRET}/O-1"}),
    ],
)
def test_no_answer_tells_of_another_account(service: Running, name: str, path: str, query: dict[str, Any]) -> None:
    answer = asked(service, path, name, **query)
    assert answer.status_code in {200, 403}
    if answer.status_code == 200:
        assert SECRET.encode() not in answer.content
        if path == "/v1/columns":
            # What is seen of account `-`, or nothing of another stream.
            assert b"group/" not in msgspec.msgpack.encode(msgspec.msgpack.decode(answer.content))


def test_a_record_is_not_found_by_an_id_that_the_key_may_not_see(service: Running) -> None:
    store = service.service.store.sync_store
    ids = [str(record.uuid) for record in store.read()]
    answer = asked(service, "/v1/find", "shared", id=ids)
    assert [record["stream"] for record in answer.json()["records"]] == [
        "contract/-/ESZ5",
        "mark/-/open",
        "order/ACC1/O-1",
    ]


def test_a_client_with_such_a_key_reads_its_account_and_opens_no_book(service: Running) -> None:
    """A book of it would lack the groups that the account is in, and judge orders without their limits."""
    with eventstore.connect(service.url, key="own") as store:
        assert [record.stream for record in store.read(account="ACC1")] == ["order/ACC1/O-1"]
        assert [record.stream for record in store.read(account="-")] == ["contract/-/ESZ5", "mark/-/open"]
        with pytest.raises(Refused, match="this concerns every account"):
            projections.open(store, accounts=["ACC1"], snapshots=False)
        with pytest.raises(Refused, match="ACC2"):
            list(store.read(account=SECRET))
