"""`work`: a worker of a group, which shares the accounts of a log in PostgreSQL with those of other hosts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from eventstore import InvalidEvent
from gateways.cli import options, service, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.feed import WITHOUT_QUOTES, QuoteFeed, Quotes, SeedFile
from gateways.cli.functions import function_named
from gateways.cli.options import CommonOptions
from gateways.cli.serving import Allowed, Cors, Format, place_of, served_member, settings_of
from gateways.presenting.output import note, put, put_json
from projections.group_worker import GroupWorker
from projections.membership import Evicted, GroupMember, member_id
from projections.rules import shipped_rules
from projections.seeds import load
from projections.shares import SHARES

if TYPE_CHECKING:
    from gateways.http.threaded import ThreadedService

Group = Annotated[str, typer.Option("--group", metavar="NAME", help="The group: its workers share all accounts.")]
Url = Annotated[
    str,
    typer.Option("--url", metavar="URL", help="Where other hosts reach this one's service; others look it up there."),
]
Listen = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Answer about single accounts over HTTP here; any address but the loopback needs API keys.",
    ),
]

WATCH_SECONDS = 0.25


@options.command(postgres=True)
def work(
    common: CommonOptions,
    quotes: Quotes = None,
    *,
    group: Group,
    seeds: SeedFile = None,
    url: Url = "",
    listen: Listen = None,
    cors_origin: Cors = None,
    allowed_host: Allowed = None,
    log_format: Format = "text",
) -> None:
    """Run a worker of a group until stopped: it folds a part of the accounts, writes their snapshots, runs policies.

    Start it on any number of hosts: the 64 partitions of the accounts are divided again as workers come and go. The log
    must be in PostgreSQL. Exit code 1 if it was evicted, or a policy has stopped for an account.

    With --listen it also answers GET requests about one account: from its own book, by asking the member that works on
    it, or from the newest snapshot and the records after it. Each answer says which, and its log position.
    """
    if listen is None and (cors_origin or allowed_host or log_format != "text"):
        msg = "--cors-origin, --allowed-host and --log-format are of the service: give --listen too"
        raise InvalidEvent(msg)
    calendars = None if seeds is None else load(seeds).calendars
    function = None if quotes is None else function_named(quotes)
    with (
        service.terminated_by_signal() as termination,
        stores.open_existing(common) as store,
        place_of(common, listen, url, lambda: settings_of(cors_origin, allowed_host, log_format)) as place,
    ):
        member = GroupMember(store, group, id=member_id(), url=url if place is None else place.url)
        worker = GroupWorker(member, store, shipped_rules, options={"calendars": calendars})
        evicted = False
        has_stopped = False
        try:
            with worker, served_member(common, worker, place, log_format) as serving:
                feed = QuoteFeed(worker.observe, function).start()
                if function is None:
                    note(WITHOUT_QUOTES)
                note(f"member {member.id} of group {group} on log {store.log}")
                service.notify(service.READY)
                has_stopped = _watch(termination, worker, feed, serving)
                service.notify(service.STOPPING)
                feed.is_stopping = True
        except Evicted as error:
            note(str(error))
            evicted = True
    ended = {"log": store.log, "group": group, "member": member.id, "position": worker.position, "evicted": evicted}
    if common.as_json:
        put_json(ended)
    else:
        put(f"ended: member {member.id} of group {group} has seen position {worker.position:,}")
    if evicted or has_stopped:
        end_with_problem()


def _watch(
    termination: service.Termination, worker: GroupWorker, feed: QuoteFeed, serving: ThreadedService | None
) -> bool:
    """Report what changes until the process is to end; return whether a policy is stopped then."""
    alive = service.Alive()
    reported: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    shares = -1
    while not termination.is_requested and worker.error is None and (serving is None or serving.error is None):
        time.sleep(WATCH_SECONDS)
        if len(worker.shares) != shares:
            shares = len(worker.shares)
            note(f"works on {shares} of {SHARES} partitions, with {len(worker.members)} members in the group")
        # While it works on nothing, as while partitions are divided, no policy is stopped: it is tried again.
        trouble, stopped = worker.trouble, worker.stopped_policies()
        found = (*(() if trouble is None else (str(trouble),)), *stopped)
        for each in found:
            if each not in reported:
                note(each)
        reported = found
        if feed.error is not None:
            raise feed.error
        alive.notify()
    return bool(stopped)
