"""The bytes that a receiver gets: an alert as JSON, and the headers that prove who sent it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.clock import NANOSECONDS, format_time
from gateways.presenting.documents import plain

if TYPE_CHECKING:
    from gateways.alerting.conditions import Alert

DETAILS_BYTES_MAX = 16_384


def body_of(alert: Alert) -> bytes:
    """Return an alert as JSON, below 20 KB: details that are larger are in the log alone."""
    details: Any = msgspec.json.encode(plain(alert.details))
    if len(details) > DETAILS_BYTES_MAX:
        details = msgspec.json.encode({"omitted": f"{len(details):,} bytes: see the log's record"})
    return msgspec.json.encode({
        "id": alert.id,
        "what": alert.subject.what,
        "account": alert.subject.account,
        "subject": alert.subject.name,
        "ended": alert.ended,
        "sentence": alert.sentence,
        "details": msgspec.Raw(details),
        "merged": alert.merged,
        "at": format_time(alert.at),
        "log": alert.log,
        "position": alert.position,
    })  # fmt: skip


def headers_of(alert: Alert, body: bytes, key: bytes | None, now_ns: int) -> dict[str, str]:
    """Return the headers of a webhook, signed if there is a key.

    As Standard Webhooks 1.0.0 has them (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md):
    HMAC-SHA256 over the id, the time of this attempt in UNIX seconds and the body, with full stops between.
    """
    seconds = str(now_ns // NANOSECONDS)
    headers = {"content-type": "application/json", "webhook-id": alert.id, "webhook-timestamp": seconds}
    if key is not None:
        signed = b".".join((alert.id.encode(), seconds.encode(), body))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers
