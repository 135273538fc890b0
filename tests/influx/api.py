"""An InfluxDB 2 server as tests inspect it: by plain HTTP, not by the client under test."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from typing_extensions import override

REQUEST_SECONDS_MAX: Final = 30.0
HEALTH_SECONDS_MAX: Final = 1.0
SHARD_SECONDS: Final = 3_600


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text.strip()}")
        self.status = status


class Server:
    """A server at `url`; `token` has all permissions in `org`. It is accessed by plain HTTP, not by our client.

    Each request has its own connection, so that a killed server leaves no broken ones.
    """

    def __init__(self, url: str, org: str, token: str) -> None:
        self.url, self.org, self.token = url, org, token

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def stop(self) -> None:
        """Stop what was started for the tests: here nothing."""

    def make_bucket(self, *, name: str | None = None, retention_seconds: int = 0) -> str:
        """Create a bucket with infinite retention, or so many seconds (an hour at least), and return its name."""
        name = name or f"test-{secrets.token_hex(6)}"
        expiring = [{"type": "expire", "everySeconds": retention_seconds}] if retention_seconds else []
        self._post("/api/v2/buckets", {"orgID": self._org_id(), "name": name, "retentionRules": expiring})
        return name

    def delete_bucket(self, name: str) -> None:
        self.request("DELETE", f"/api/v2/buckets/{self._bucket_id(name)}")

    def change_bucket(self, bucket: str, *, name: str | None = None, retention_seconds: int | None = None) -> None:
        """Rename a bucket, or change its retention; 0 is infinite."""
        changes: dict[str, Any] = {} if name is None else {"name": name}
        if retention_seconds is not None:
            # Shards must be shorter than the retention.
            rule = {"type": "expire", "everySeconds": retention_seconds, "shardGroupDurationSeconds": SHARD_SECONDS}
            changes["retentionRules"] = [rule]
        self.request("PATCH", f"/api/v2/buckets/{self._bucket_id(bucket)}", body=json.dumps(changes).encode())

    def rename_org(self, name: str) -> None:
        """Rename the organisation, and use the new name from now on."""
        body = json.dumps({"name": name}).encode()
        self.request("PATCH", f"/api/v2/orgs/{self._org_id()}", body=body)
        self.org = name

    def make_token(self, bucket: str, *, read: bool, write: bool) -> str:
        """Create a token with these permissions, for this bucket only."""
        org = self._org_id()
        resource = {"type": "buckets", "id": self._bucket_id(bucket), "orgID": org}
        actions = [action for action, granted in (("read", read), ("write", write)) if granted]
        permissions = [{"action": action, "resource": resource} for action in actions]
        made = self._post("/api/v2/authorizations", {"orgID": org, "permissions": permissions})
        return str(made["token"])

    def write(self, bucket: str, lines: bytes, *, token: str | None = None) -> None:
        """Write line protocol, timestamps in nanoseconds."""
        query = {"org": self.org, "bucket": bucket, "precision": "ns"}
        self.request("POST", "/api/v2/write", query=query, body=lines, token=token)

    def delete_points(
        self,
        bucket: str,
        predicate: str = "",
        start: str = "1970-01-01T00:00:00Z",
        stop: str = "2200-01-01T00:00:00Z",
    ) -> None:
        """Delete the points between two times whose tags match, such as `_measurement="a" AND tag="b"`."""
        query = {"org": self.org, "bucket": bucket}
        self._post("/api/v2/delete", {"start": start, "stop": stop, "predicate": predicate}, query=query)

    def flux(self, query: str, *, token: str | None = None) -> list[dict[str, Any]]:
        """Return each row of each table; times stay text, which is exact to the nanosecond."""
        dialect = {"header": True, "annotations": ["datatype"]}
        body = json.dumps({"query": query, "type": "flux", "dialect": dialect}).encode()
        answer = self.request("POST", "/api/v2/query", query={"org": self.org}, body=body, token=token)
        return list(_rows(answer.decode()))

    def influxql(self, bucket: str, query: str, *, token: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of the response, timestamps in nanoseconds."""
        form = urlencode({"db": bucket, "q": query, "epoch": "ns"})
        kind = "application/x-www-form-urlencoded"
        answer = json.loads(self.request("POST", "/query", body=form.encode(), kind=kind, token=token))
        for result in [answer, *answer.get("results", [])]:
            if "error" in result:
                raise Refused(200, result["error"])
        return answer

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        kind: str = "application/json",
        token: str | None = None,
        seconds_max: float = REQUEST_SECONDS_MAX,
    ) -> bytes:
        """Return the body of the response; raise Refused, or OSError or HTTPException if none arrives in time."""
        address = urlsplit(self.url)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kinds[address.scheme](address.hostname or "", address.port, timeout=seconds_max)
        headers = {"Authorization": f"Token {token or self.token}", "Content-Type": kind, "Connection": "close"}
        with contextlib.closing(connection):
            connection.request(
                method, f"{address.path.rstrip('/')}{path}?{urlencode(query or {})}", body=body, headers=headers
            )
            response = connection.getresponse()
            answer: bytes = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise Refused(response.status, answer.decode(errors="replace"))
        return answer

    def is_ready(self) -> bool:
        try:
            health = json.loads(self.request("GET", "/health", seconds_max=HEALTH_SECONDS_MAX))
        except (OSError, http.client.HTTPException, Refused, ValueError):
            return False
        return bool(health.get("status") == "pass")

    def set_up(self) -> None:
        """Create the first user, organisation and token of a new server."""
        names = {"username": "tests", "password": secrets.token_hex(), "bucket": "set-up"}
        self._post("/api/v2/setup", names | {"org": self.org, "token": self.token})

    def _post(self, path: str, content: dict[str, Any], *, query: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - the same
        answer = self.request("POST", path, query=query, body=json.dumps(content).encode())
        return json.loads(answer) if answer else None

    def _org_id(self) -> str:
        return self._id("orgs", {"org": self.org})

    def _bucket_id(self, name: str) -> str:
        return self._id("buckets", {"org": self.org, "name": name})

    def _id(self, what: str, query: dict[str, str]) -> str:
        (found,) = json.loads(self.request("GET", f"/api/v2/{what}", query=query))[what]
        return str(found["id"])


def _rows(text: str) -> Iterator[dict[str, Any]]:
    """Parse annotated CSV: a line of types before each line of names, and an empty line between tables."""
    convert: dict[str, Callable[[str], object]] = {
        "long": int,
        "unsignedLong": int,
        "double": float,
        "boolean": "true".__eq__,
    }
    kinds: list[str] = []
    names: list[str] = []
    for cells in csv.reader(io.StringIO(text)):
        if not cells:
            names = []
        elif cells[0] == "#datatype":
            kinds, names = cells, []
        elif not names:
            names = cells
        else:
            row = {
                name: convert.get(kind, str)(cell) if cell else None
                for name, kind, cell in zip(names[1:], kinds[1:], cells[1:], strict=True)
            }
            if names[1:3] == ["error", "reference"]:
                raise Refused(200, str(row["error"]))
            yield row
