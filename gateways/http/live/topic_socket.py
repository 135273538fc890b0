"""The socket of `/v1/ws`: topics of accounts as they are, then as they change, and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from eventstore import StoreError
from eventstore.streams import check_name
from gateways.http.access import Scope
from gateways.http.answering import RequestRefused, document_of
from gateways.http.live.board import AccountTopic
from gateways.http.live.commands import Command, command_of
from gateways.http.live.filters import filter_for
from gateways.http.live.sockets import RecordCursor, Socket, record_message
from gateways.http.live.topics import RECORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SUBJECTS_MAX = 5_000
"""How many topics of accounts one socket looks at."""


class TopicSocket(Socket):
    """Shows its client what it subscribes to: the present state first, then what changes.

    A client that is slow is shown the newest state, not every one between: what waits for it does not grow.
    """

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - those of every socket
        super().__init__(*args)
        self._looks: dict[str, frozenset[str] | None] = {}
        self._waiting: dict[AccountTopic, bytes] = {}
        self._behind: set[AccountTopic] = set()
        self._records: RecordCursor | None = None

    def subjects(self, accounts: Collection[str]) -> Iterable[AccountTopic]:
        """Yield what this socket looks at; `accounts` are all that are known."""
        for topic, chosen in self._looks.items():
            for account in accounts if chosen is None else chosen:
                if chosen is not None or self.caller.sees(account):
                    yield AccountTopic(topic, account)

    def show(self, subject: AccountTopic, message: bytes, *, whole: bool) -> None:
        """Take a message that shows what has changed of a subject, or the whole of it."""
        if whole:
            self._behind.discard(subject)
            self._waiting[subject] = message
        elif self._waiting.pop(subject, None) is not None or subject in self._behind:
            # The one before is not sent yet: instead of both, the whole of it will be.
            self._behind.add(subject)
        else:
            self._waiting[subject] = message
        self.wake()

    @override
    async def next_message(self) -> bytes:
        if self._behind and not self._waiting:
            await self.hub.board.present(self, [*self._behind])
        if self._waiting:
            subject = next(iter(self._waiting))
            return self._waiting.pop(subject)
        if self._records is not None:
            try:
                record = await self._records.next()
            except StoreError as e:
                self.end(document_of(e, ""))
                return b""
            if record is not None:
                return record_message(record)
        return b""

    @override
    async def take(self, text: str) -> bytes:
        command = command_of(text)
        for account in command.accounts or ():
            check_name("account", account)
            self.caller.require(Scope.READ, account)
        if command.topic == RECORDS:
            await self._take_records(command)
        elif command.action == "subscribe":
            await self._subscribe(command)
        else:
            self._unsubscribe(command)
        reply = {"type": f"{command.action}d", "topic": command.topic, "log_position": self.hub.service.book.position}
        if command.accounts is not None:
            # An account that nothing is recorded of is not to be taken for one that is free.
            unknown = sorted({*command.accounts} - {*self.hub.board.accounts})
            reply |= {"accounts": command.accounts, "unknown": unknown}
        return msgspec.json.encode(reply)

    @override
    def left(self) -> None:
        self.hub.board.leave(self)

    async def _subscribe(self, command: Command) -> None:
        known = self._looks.get(command.topic, frozenset())
        chosen = None if command.accounts is None or known is None else known | frozenset(command.accounts)
        if chosen is None and self.caller.accounts is not None:
            chosen = self.caller.accounts
        looks = self._looks | {command.topic: chosen}
        accounts = self.hub.board.accounts
        count = sum([len(accounts) if each is None else len(each) for each in looks.values()])
        if count > SUBJECTS_MAX:
            detail = f"{count:,} topics of accounts, and a socket has at most {SUBJECTS_MAX:,}"
            raise RequestRefused(422, "TooManyTopics", detail, "Unsubscribe from others first, or open another socket.")
        self._looks = looks
        self.hub.board.join(self)
        named = command.accounts or (chosen if chosen is not None else accounts)
        await self.hub.board.present(self, [AccountTopic(command.topic, account) for account in sorted(named)])

    def _unsubscribe(self, command: Command) -> None:
        known = self._looks.pop(command.topic, frozenset())
        if command.accounts is not None and known is None:
            self._looks[command.topic] = known
            detail = "the socket looks at all accounts of this topic"
            raise RequestRefused(
                409, "AllAccounts", detail, "Unsubscribe without accounts, then subscribe to those needed."
            )
        if command.accounts is not None and known is not None and (left := known - frozenset(command.accounts)):
            self._looks[command.topic] = left
        looked = {*self.subjects(self.hub.board.accounts)}
        self._waiting = {subject: each for subject, each in self._waiting.items() if subject in looked}
        self._behind &= looked
        if not self._looks:
            self.hub.board.leave(self)

    async def _take_records(self, command: Command) -> None:
        if command.action == "unsubscribe":
            self._records = None
            return
        head = await self.hub.service.store.head()
        after = head if command.after is None else command.after
        if after > head:
            detail = f"position {after} is past the log's head, {head}: it is of another log, or its tail is lost"
            raise RequestRefused(
                409, "PositionAhead", detail, "Read again from a position that the log has.", found=head
            )
        wanted = filter_for(self.caller, accounts=command.accounts)
        self._records = RecordCursor(self.hub, wanted, after)
