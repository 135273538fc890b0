"""The options that commands share, and the decorator that adds them to a command on a log."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

import eventstore
from eventstore import EventStore, InvalidEvent, Unavailable
from eventstore.locations import masked_url, postgres_url
from eventstore.opening import DEFAULT_LOG
from gateways.cli.reads import asking
from gateways.presenting.output import ROWS_SHOWN
from gateways.presenting.times import zone_named
from projections.views.approvals import is_policy

Command = Callable[..., None]
"""A function that typer calls with its parameters by name."""

DATA = Path("data")
LOG = "main"


class CommonOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The shared options as given; one that a command does not take has its default.

    `zone` is the time zone named by --zone or EVENTSTORE_ZONE, None without one.
    """

    data: Path = DATA
    log: str = LOG
    read_only: bool = False
    as_json: bool = False
    zone: tzinfo | None = None
    exact: bool = False

    @property
    def url(self) -> str:
        """The URL of a service or of InfluxDB, given in place of a directory; '' for a log that is opened here."""
        return _url_of(self.data)

    @property
    def postgres(self) -> str | None:
        """The URL of a log in PostgreSQL; None for a directory."""
        return postgres_url(self.data.text) if isinstance(self.data, UrlPath) else None

    @property
    def place(self) -> tuple[Path | str, str]:
        """What opens the log, and its name: a URL's own log counts where --log is not given."""
        if self.postgres is None:
            return self.data, self.log
        return self.postgres, DEFAULT_LOG if self.log == LOG else self.log

    @property
    def directories(self) -> tuple[Path, ...]:
        """The store's directory, for what is kept in files there by hand, such as settings; none of a URL."""
        return () if self.url or self.postgres is not None else (self.data,)

    @property
    def settings_directory(self) -> Path:
        """Where eventstore.toml is of a store that is opened here: of one in PostgreSQL the working directory."""
        return self.data if self.postgres is None else Path()

    def opened(self, *, read_only: bool = False) -> EventStore:
        """Open the log, which is created where it does not exist."""
        place, log = self.place
        return eventstore.open(place, log=log, read_only=read_only)


class UrlPath(type(Path())):  # type: ignore[misc] # the class of this system's paths
    """The path that typer expects, with the text that was given: a path collapses two slashes into one."""

    text: str


def data_of(text: str) -> Path:
    """Return what --data was given."""
    if postgres_url(text) is None:
        return Path(text)
    path = UrlPath(text)
    path.text = text
    return path


def _url_of(data: Path) -> str:
    # A path collapses two slashes in a row into one.
    scheme, colon, rest = str(data).partition(":/")
    return f"{scheme}://{rest.lstrip('/')}" if colon and scheme in {"http", "https"} else ""


def _check_opened_here(data: Path) -> Path:
    return data if isinstance(data, UrlPath) else _check_local(data)


def _check_local(data: Path) -> Path:
    url = data.text if isinstance(data, UrlPath) else _url_of(data)
    if url:
        msg = f"{masked_url(url)} is not a store directory, and this command needs its journal: give --data DIR"
        raise Unavailable(msg)
    return data


def check_actor(actor: str | None) -> str | None:
    """Refuse the name of a policy: what it may do alone, no person may."""
    if actor is not None and is_policy(actor):
        msg = f"--actor {actor!r:.80} is the name of a policy: give that of a person"
        raise InvalidEvent(msg)
    return actor


def _data_option(text: str, check: Callable[[Path], Path] | None = None) -> Any:  # noqa: ANN401 - what typer reads
    return typer.Option(
        "--data",
        envvar="EVENTSTORE_DATA",
        metavar="DIR",
        parser=data_of,
        callback=check,
        help=f"Store directory, {text}.",
    )


Data = Annotated[
    Path,
    _data_option("or a URL: of PostgreSQL, of a service, with its key in EVENTSTORE_KEY, or of InfluxDB"),
]
ServiceData = Annotated[Path, _data_option("or the URL of PostgreSQL or of a service, with its key in EVENTSTORE_KEY")]
HostedData = Annotated[Path, _data_option("or the URL of PostgreSQL", _check_opened_here)]
LocalData = Annotated[Path, _data_option("not a URL", _check_local)]
Log = Annotated[str, typer.Option("--log", metavar="NAME", help="Name of the log in the store.")]
ReadOnly = Annotated[
    bool,
    typer.Option("--read-only", help="Write nothing next to the log; the default if it is not writable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or one line per record.")]
Zone = Annotated[
    str | None,
    typer.Option(
        "--zone",
        envvar="EVENTSTORE_ZONE",
        metavar="NAME",
        help="Time zone for input and output, such as America/Chicago; by default the account's, else UTC.",
    ),
]
Exact = Annotated[bool, typer.Option("--exact", help="Do not round: all nine decimals of a second, every digit.")]

Account = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Only this account.")]
Actor = Annotated[
    str | None,
    typer.Option("--actor", callback=check_actor, help="Actor recorded with the event; by default user@host/program."),
]
Note = Annotated[str, typer.Option("--note", help="Note stored with the record.")]
OccurredAt = Annotated[
    str | None, typer.Option("--occurred-at", metavar="INSTANT", help="When it happened; by default now.")
]
Rows = Annotated[int, typer.Option("--rows", min=0, help="Maximum number of rows per table; 0 for all.")]
ROWS = ROWS_SHOWN


class _Shared(NamedTuple):
    """A shared option: its parameter's name, its annotation for typer, and its default."""

    name: str
    annotation: Any
    default: object


def command(
    *,
    log: bool = True,
    url: bool = False,
    service: bool = False,
    postgres: bool = False,
    read_only: bool = False,
    zone: bool = False,
    exact: bool = False,
) -> Callable[[Command], Command]:
    """Make a function a command: the shared options follow its own, and it gets them as CommonOptions.

    Every such command takes --json and, unless it needs no `log`, --data and --log; `url`: its --data may be the URL of
    PostgreSQL, of a service or of InfluxDB; `service`: not of InfluxDB, to append there; `postgres`: of PostgreSQL
    alone; the other arguments add the option of their name.
    """
    choices = (
        (log, _Shared("data", _data_annotation(url=url, service=service, postgres=postgres), DATA)),
        (log, _Shared("log", Log, LOG)),
        (read_only, _Shared("read_only", ReadOnly, False)),  # noqa: FBT003 - the option's default
        (True, _Shared("as_json", Json, False)),  # noqa: FBT003 - the same
        (zone, _Shared("zone", Zone, None)),
        (exact, _Shared("exact", Exact, False)),  # noqa: FBT003 - the same
    )
    shared = [option for is_taken, option in choices if is_taken]

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def run(**arguments: Any) -> None:  # noqa: ANN401 - typer passes what the signature names
            given = {option.name: arguments.pop(option.name) for option in shared}
            named = given.get("zone")
            # Checked first: an unknown zone is refused before anything is opened or created.
            chosen = CommonOptions(**given | {"zone": zone_named(named) if named else None})
            with asking(function.__name__.rstrip("_").replace("_", "-"), arguments):
                function(chosen, **arguments)

        signature = _with_options(function, shared)
        run.__doc__ = _unwrapped(function.__doc__ or "")
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        return run

    return decorate


def _data_annotation(*, url: bool, service: bool, postgres: bool) -> Any:  # noqa: ANN401 - what typer reads
    if url:
        return Data
    if service:
        return ServiceData
    return HostedData if postgres else LocalData


def _unwrapped(text: str) -> str:
    """Return a docstring with each paragraph on one line, because typer keeps the line breaks within one."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def _with_options(function: Callable[..., None], shared: list[_Shared]) -> inspect.Signature:
    """Return the signature that typer reads: the function's own parameters, then the shared options."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, annotation, default in shared
    ]
    return signature.replace(parameters=[*own, *added])
