"""A file of another layout, such as a SQLite table of an older program's own, migrated by a mapping of `import`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.ids import keyed_id
from gateways.importers import FileOptions, append_plan, read_plan
from gateways.importers.definitions import known_contracts
from gateways.legacy import backups
from gateways.legacy.reports import ItemStatus, MigratedItem, MigrationReport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from pathlib import Path

    from eventstore import EventStore
    from gateways.importers import FilePlan


def migrate_mapped(
    store: EventStore,
    path: Path,
    mapping: Path,
    *,
    account: str | None = None,
    zone: tzinfo | None = None,
    backup: bool = True,
    dry_run: bool = False,
) -> MigrationReport:
    """Append the events of a file's rows as its mapping says what they are; rows that cannot be read are left out.

    Raises MissingChoices for what the mapping leaves open, with nothing written.
    """
    options: FileOptions = {"mapping": mapping, "keep_going": True}
    if account is not None:
        options["account"] = account
    if zone is not None:
        options["zone"] = str(zone)
    plan = read_plan(path, None, known_contracts(store), **options)
    items = [*_items(store, plan), *_set_aside(plan)]
    added = 0
    kept: tuple[Path, ...] = ()
    shadow: tuple[str, ...] = ()
    if plan.items and not dry_run:
        kept = backups.back_up([path], store) if backup else ()
        report = append_plan(store, plan)
        added, shadow = report.added, report.shadow
    items += [MigratedItem("row", f"line {bad.line}", ItemStatus.LEFT_OUT, str(bad)) for bad in plan.left_out]
    return MigrationReport(
        files=(str(path),),
        account=account,
        dry_run=dry_run,
        items=tuple(items),
        added=added,
        backups=tuple(map(str, kept)),
        issues=() if dry_run else tuple(_missing(store, plan)),
        shadow=shadow,
    )


def _items(store: EventStore, plan: FilePlan) -> Iterator[MigratedItem]:
    """Yield what becomes of each event, before it is appended."""
    for item in plan.items:
        known = store.find(keyed_id(item.stream, item.key)) is not None
        status = ItemStatus.KNOWN if known else ItemStatus.MIGRATED
        yield MigratedItem(type(item.event).__name__, item.key, status)


def _set_aside(plan: FilePlan) -> Iterator[MigratedItem]:
    for why, count in plan.reader.ignored.items():
        yield MigratedItem("row", f"{count:,} rows", ItemStatus.SET_ASIDE, why, count)


def _missing(store: EventStore, plan: FilePlan) -> Iterator[str]:
    """Yield what reading back does not find: nothing, usually."""
    refused = {bad.line for bad in plan.left_out}
    for item in plan.items:
        if item.line not in refused and store.find(keyed_id(item.stream, item.key)) is None:
            yield f"line {item.line}: {type(item.event).__name__} {item.key} is missing in the log"
