"""Files of older managers into a state's log: in one append, once for each content, and read back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from eventstore import Batch, InvalidEvent
from eventstore.clock import format_time
from eventstore.ids import keyed_id
from eventstore.streams import stream_of
from eventstore.trading import PositionReported
from gateways.legacy import backups, contents, holdings, pandas_values, state_plans
from gateways.legacy.reports import ItemStatus, MigratedItem, MigrationReport
from gateways.legacy.state_log import Origin, Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from pathlib import Path

    from gateways.legacy.contents import Current
    from gateways.legacy.state_files import StateFile
    from gateways.legacy.state_log import StateLog
    from gateways.legacy.state_plans import PlannedState
    from gateways.legacy.values import Codec, Plain


class NewerState(InvalidEvent):
    """The log has a state that a program saved itself: a file's would be put in place of a newer one."""


def migrate_states(
    log: StateLog,
    codec: Codec,
    files: Sequence[StateFile],
    *,
    user_id: str = "migration",
    replace: bool = False,
    doubtful_active: bool | None = None,
    report_positions: bool = False,
    backup: bool = True,
    dry_run: bool = False,
) -> MigrationReport:
    """Save the state of files as the account's, and say of each item what became of it.

    The same content is saved once, however often it is migrated. Raises NewerState where the log has a state that did
    not come from a file, unless it is to be replaced, and what `state_plans.plan` raises; nothing is written then.
    """
    log.current()
    migration = _Migration(log, codec, files, user_id)
    migration.replacing, migration.reporting = replace, report_positions
    planned = state_plans.plan(files, doubtful_active=doubtful_active)
    return migration.run(planned, backup=backup, dry_run=dry_run)


class _Migration:
    def __init__(self, log: StateLog, codec: Codec, files: Sequence[StateFile], user_id: str) -> None:
        self._log, self._codec, self._files, self._user_id = log, codec, files, user_id
        self.replacing = self.reporting = False
        digests = "".join(sorted(file.digest for file in files))
        self._source = hashlib.sha256(digests.encode()).hexdigest()
        self._key = f"migrate {self._source}"

    def run(self, planned: PlannedState, *, backup: bool, dry_run: bool) -> MigrationReport:
        items, also = list(planned.items), self._position_reports(planned)
        items += also[1]
        known = self._is_known()
        if known:
            items = [_as_known(item) for item in items]
        elif planned.exists:
            self._check_newer(self._log.current())
        added = 0
        kept: tuple[Path, ...] = ()
        issues: tuple[str, ...] = ()
        if planned.exists and not dry_run:
            kept = () if known or not backup else backups.back_up([file.path for file in self._files], self._log.store)
            if not known:
                added = self._save(planned, also[0])
                issues = self._read_back(planned)
        return MigrationReport(
            files=tuple(str(file.path) for file in self._files),
            account=self._log.account,
            dry_run=dry_run,
            items=tuple(items),
            added=added,
            backups=tuple(map(str, kept)),
            issues=issues,
        )

    def _is_known(self) -> bool:
        return self._log.store.find(keyed_id(contents.stream(self._log.account), self._key)) is not None

    def _check_newer(self, current: Current) -> None:
        saved = current.state
        if saved is None or saved.source is not None or self.replacing:
            return
        at, names = format_time(current.saved_at), ", ".join(file.path.name for file in self._files)
        msg = (
            f"account {self._log.account} of log {self._log.store.log} has a state that {current.actor} saved at {at}, "
            f"and {names} would take its place: nothing was written. Use --replace (in Python: replace=True) if the "
            "file's is the right one, or another --account"
        )
        raise NewerState(msg)

    def _save(self, planned: PlannedState, also: Sequence[Batch]) -> int:
        wanted = wanted_of(self._codec, planned)
        head = self._log.store.head()

        def change(current: Current) -> Wanted:
            self._check_newer(current)
            return wanted

        note = f"migrate {', '.join(file.path.name for file in self._files)}".encode("utf-8", "replace").decode()[:500]
        origin = Origin(self._user_id, note, source=self._source, key=self._key, also=tuple(also))
        saved = self._log.save(change, origin)
        return saved.position - head if saved.position > head else 0

    def _read_back(self, planned: PlannedState) -> tuple[str, ...]:
        """Return what the log does not have as it was planned."""
        return differences(self._log, wanted_of(self._codec, planned))

    def _position_reports(self, planned: PlannedState) -> tuple[list[Batch], list[MigratedItem]]:
        if not self.reporting:
            return [], []
        found, unclear = holdings.holdings(planned.positions)
        batches = [self._report(symbol, quantity) for symbol, quantity in found.items()]
        items = [MigratedItem("position_report", symbol, ItemStatus.MIGRATED) for symbol in found]
        items += [MigratedItem("position_report", name, ItemStatus.SET_ASIDE, why) for name, why in unclear.items()]
        return batches, items

    def _report(self, symbol: str, quantity: Decimal) -> Batch:
        stream = stream_of("position", self._log.account, symbol)
        return Batch(stream, PositionReported(symbol=symbol, quantity=quantity), actor=self._user_id)


def differences(log: StateLog, wanted: Wanted) -> tuple[str, ...]:
    """Return how the state in the log differs from one: nothing, usually."""
    state = log.current().state
    if state is None:
        return ("the log has no state",)
    issues = []
    for kind, named, items in (
        ("position", wanted.positions, state.positions),
        ("pair_state", wanted.pair_states, state.pair_states),
    ):
        here = {contents.item_id(kind, item.name): (item.name, log.value(item.position)) for item in items}
        there = {contents.item_id(kind, name): (name, value) for name, value in named}
        issues += [f"{kind} {there[id_][0]} is missing in the log" for id_ in there.keys() - here.keys()]
        issues += [f"{kind} {here[id_][0]} is in the log alone" for id_ in here.keys() - there.keys()]
        issues += [f"{kind} {there[id_][0]} differs" for id_ in here.keys() & there.keys() if here[id_] != there[id_]]
    portfolio = log.value(state.portfolio) if state.portfolio else {}
    if wanted.portfolio is not None and portfolio != wanted.portfolio:
        issues.append("the portfolio's members differ")
    return tuple(sorted(issues))


def wanted_of(codec: Codec, planned: PlannedState) -> Wanted:
    """Return a planned state as the log has it."""

    def plain(value: object) -> Plain:
        return codec.encode(pandas_values.with_file_series(value))

    positions, pairs = (
        [(plain(name), plain(value)) for name, value in named.items()]
        for named in (planned.positions, planned.pair_states)
    )
    return Wanted(positions, pairs, plain(planned.portfolio), planned.absent)


def _as_known(item: MigratedItem) -> MigratedItem:
    if item.status is not ItemStatus.MIGRATED:
        return item
    return MigratedItem(item.kind, item.name, ItemStatus.KNOWN, item.why)
