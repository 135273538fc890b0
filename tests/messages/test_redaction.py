"""What is like a credential does not reach the log, in whatever message it comes."""

from __future__ import annotations

from typing import Any

import pytest

from gateways.messages import Recorder
from gateways.messages.projectx import message
from gateways.messages.redaction import redacted, without_secrets
from projections import Book
from tests.messages.projectx_messages import ACCOUNT_ID, order, trade, user

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
SECRET = "hunter2-hunter2"
CIRCLE: dict[str, Any] = {"target": "x", "arguments": [], "password": SECRET}
CIRCLE["arguments"].append(CIRCLE)
PLACED = {"accountId": ACCOUNT_ID, "customTag": "t1"}


@pytest.mark.parametrize("given", [
    message("Auth/loginKey", {"success": True, "token": SECRET}),
    message("Auth/loginKey", {"userName": "a", "apiKey": SECRET}),
    message("GatewayLogout", {"access_token": {"value": [SECRET]}}),
    message("GatewayLogout", f"wss://rtc.example.com/hubs/user?access_token={SECRET}&x=1"),
    message("GatewayLogout", {"headers": {"Authorization": f"Bearer {JWT}"}}, JWT),
    message("GatewayLogout", f"Authorization: Bearer {SECRET}", "{'password': '" + SECRET + "'}"),
    {"35": "A", "553": "me", "554": SECRET, "target": "x", "arguments": [1]},
    user("Trade", trade(price=None, **{"X-Api-Secret": SECRET})),
    user("Trade", trade(price=f"token={SECRET}")),
    user("Order", order(status=f"token={SECRET}")),
    message("Order/place", PLACED, {"success": False, "errorCode": 2, "errorMessage": f"bad token={SECRET}"}),
    message("Order/place", PLACED, {"success": False, "errorCode": 7, "errorMessage": f"bad {JWT}"}),
    CIRCLE,
])  # fmt: skip
def test_no_credential_reaches_the_log(recorder: Recorder, book: Book, given: Any) -> None:  # noqa: ANN401
    before = book.position
    recorder.record(given)
    (first, *_) = found = [each.data.decode() for each in book.read() if each.position > before]
    assert not [each for each in found if SECRET in each or JWT in each], found
    assert "(hidden)" in first


@pytest.mark.parametrize("text", ["", "Order rejected: insufficient margin", "tokens: none left = 3", "basic", "eyJ"])
def test_other_texts_stay(text: str) -> None:
    assert redacted(text).startswith(text[:6])
    assert without_secrets({"price": text, "id": 5}) == {"price": text, "id": 5}


def test_no_text_takes_long() -> None:
    for text in ("token" * 2_000, "eyJaaaaaaaa-" * 800, "Bearer " * 1_500, "a_" * 5_000, "token='\"" * 1_000):
        assert len(redacted(text)) <= 4 * len(text)
