"""`migrate-journal`: moves a log between a directory and PostgreSQL, and proves that it is the same afterwards."""

from __future__ import annotations

import fnmatch
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from eventstore.locations import masked_url, postgres_url
from gateways.cli import options
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import progress, put, put_json
from projections.risk.policies import cursors

if TYPE_CHECKING:
    from eventstore.migration import Migrated

From = Annotated[str, typer.Argument(metavar="FROM", help="Store directory, or URL of a log in PostgreSQL.")]
To = Annotated[str, typer.Argument(metavar="TO", help="Where to move it: URL of PostgreSQL, or store directory.")]
Log = Annotated[
    str | None, typer.Option("--log", metavar="NAME", help="Name of the log, which it keeps; by default the URL's.")
]


class KindLeft(NamedTuple):
    """What lies with a log and is not moved: names below the log's directory, what they are, and what to do."""

    pattern: str
    what: str
    advice: str


_DOCUMENT = "document "
_LOCK = "of processes that run on this host: nothing to do"
_MIRROR = "to ship the moved log, stop the mirror of this one, and run eventstore adopt on the target"
_NOT_ITS_OWN = "of records that the log does not have, or unreadable"
KINDS = (
    KindLeft(
        f"watermarks/{cursors.PREFIX}*",
        f"cursor of a policy: {_NOT_ITS_OWN}",
        "look what it is: a policy without a cursor begins at the end of the log",
    ),
    KindLeft("watermarks/mirror", "how far InfluxDB has the log", _MIRROR),
    KindLeft("mirror.*", "state of the mirror", _MIRROR),
    KindLeft("home.json", "the right to ship the log to InfluxDB", _MIRROR),
    KindLeft("watermarks/*", f"mark: {_NOT_ITS_OWN}", "what reads the log by it begins again"),
    KindLeft("mark mirror", "how far InfluxDB has the log", _MIRROR),
    KindLeft("mark *", f"mark: {_NOT_ITS_OWN}", "what reads the log by it begins again"),
    KindLeft("snapshots.sqlite*", "snapshots", "nothing to do: they are computed again from the log"),
    KindLeft("document snapshots.key", "key that signs snapshots", "nothing to do: each place of a log has its own"),
    KindLeft("checkpoints.txt", "signed checkpoints", "keep it: it proves the moved log too, whose roots are the same"),
    KindLeft("witnesses.jsonl", "what witnesses have signed", "keep it with the checkpoints"),
    KindLeft("api-keys*", "API keys of the service", "add keys where the service of the moved log runs"),
    KindLeft("policies+*.abilities", "what a process's policies can judge", "nothing to do: it is written again"),
    KindLeft("*.lock", "lock", _LOCK),
    KindLeft("../eventstore.toml", "settings", "copy it to the directory where the programs run"),
    KindLeft("../*/journal.db", "another log", "name it by --log to move it too"),
    KindLeft("durability *", "property of the log in PostgreSQL", "a log in a directory waits for that disk alone"),
    KindLeft("table *", "table of another program, or of a newer version", "look what it is before you remove it"),
)
_UNKNOWN = KindLeft("*", "not of this program, or of a newer version", "look what it is before you remove anything")


@options.command(log=False)
def migrate_journal(common: CommonOptions, source: From, target: To, *, log: Log = None) -> None:
    """Move a log between a directory and PostgreSQL, in either direction, with the same id, digests and root.

    It is copied, then proved: the copy is opened and verified, and has the source's root. The source is only read and
    stays as it is. Stop all that appends to it first. Exit code 1 if it does not verify, has grown meanwhile, or is
    still in use.

    A password is better left out of a URL, which other users see among the processes: libpq reads ~/.pgpass.
    """
    from eventstore.migration import migrate

    with progress("verifying, copying, proving") as step:
        moved = migrate(source, target, log=log, progress=step)
    left = [_described(name) for name in moved.left]
    if common.as_json:
        shown = {"source": _shown(source), "target": _shown(target)}
        put_json({**shown, **plain(moved), "left": left, "advice": _protection(source, moved)})
    else:
        _put(moved, left, source, target)
    if moved.head > moved.size or moved.held:
        end_with_problem()


def _put(moved: Migrated, left: list[dict[str, str]], source: str, target: str) -> None:
    put(f"moved log {moved.log} from {_shown(source)} to {_shown(target)}: {moved.size:,} records, verified at both")
    put(f"log id {moved.log_id}")
    put(f"root {moved.root}")
    if moved.head > moved.size:
        put(
            f"positions {moved.size + 1:,} to {moved.head:,} were appended to the source meanwhile and are not in the "
            "target: both are equal up to there. Stop what appends, and move the log again to another place"
        )
    if moved.held:
        put(f"processes still use the source, by {', '.join(moved.held)}: stop them, and start them on the target")
    if moved.beside:
        put(f"moved with it: {', '.join(moved.beside)}")
    for each in left:
        put(f"not moved: {each['name']} ({each['what']}): {each['advice']}")
    put(_protection(source, moved))


def _protection(source: str, moved: Migrated) -> str:
    """Say how to keep the source from being appended to, where programs that were forgotten may still name it."""
    begin = "append to the target alone from here on; to protect the source, "
    if postgres_url(source) is None:
        return f"{begin}run: chmod a-w {shlex.quote(str(Path(source) / moved.log))}"
    return f"{begin}revoke INSERT and UPDATE on its tables from the roles that append"


def _described(name: str) -> dict[str, str]:
    """Return what was not moved, with what it is and what to do about it."""
    kind = kind_of(name)
    return {"name": name, "what": kind.what, "advice": kind.advice}


def kind_of(name: str) -> KindLeft:
    """Return of which kind a file, document, table or property is that lies with a log."""
    # A document in PostgreSQL is called as the file in a directory is; a long one has parts, `NAME/00000002`.
    names = (name, name.removeprefix(_DOCUMENT).partition("/")[0]) if name.startswith(_DOCUMENT) else (name,)
    return next((kind for kind in KINDS for each in names if fnmatch.fnmatchcase(each, kind.pattern)), _UNKNOWN)


def _shown(place: str) -> str:
    url = postgres_url(place)
    return place if url is None else masked_url(url)
