"""`clock`: how far this machine's clock is off, recorded, so that an auditor knows how far times are to be trusted."""

from __future__ import annotations

from collections import deque
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from eventstore import EventStore, InvalidEvent
from eventstore.clock import NANOSECONDS
from eventstore.trading import ClockChecked
from gateways.cli import options, stores
from gateways.cli.clock_sources import checked
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.clocks import is_off
from gateways.presenting.documents import record_json
from gateways.presenting.output import put, put_json
from gateways.presenting.presenter import Presenter
from projections.auditing.sentences.audits import clock_sentence

STREAM = "clock/-/-"
AGE_MAX = 7 * 86_400 * NANOSECONDS
"""How long a comparison says something of the clock."""
Offset = Annotated[
    str | None,
    typer.Option(metavar="SECONDS", help="How far the clock is ahead, measured elsewhere; below zero if it is behind."),
]
Source = Annotated[str | None, typer.Option(metavar="NAME", help="With --offset: what it was compared with.")]


@options.command(postgres=True)
def clock(common: CommonOptions, *, offset: Offset = None, source: Source = None, actor: options.Actor = None) -> None:
    """Record how far this machine's clock is off, as chrony or ntpd says, or as measured elsewhere.

    Exit code 1 if nothing says it, or if it is off by a second or more.
    """
    if (offset is None) is not (source is None):
        msg = "give --offset and --source together: how far the clock is ahead, and of what"
        raise InvalidEvent(msg)
    event = checked() if offset is None or source is None else ClockChecked(source=source, offset_ns=_ns(offset))
    with stores.open_existing(common) as store:
        [record] = store.append(STREAM, event, actor=actor)
    if common.as_json:
        put_json(record_json(record, Presenter().document_zone))
    else:
        put(f"{clock_sentence(event)}: position {record.position}  {record.stream}")
    if is_off(event):
        end_with_problem()


def standing(store: EventStore) -> tuple[bool, str]:
    """Return whether the newest comparison with a source of time gives no cause for concern, and what it says."""
    newest = deque(store.read(stream=STREAM, types=(ClockChecked,)), maxlen=1)
    record = newest[0] if newest else None
    if record is None or not isinstance(record.event, ClockChecked):
        return True, "the clock was never compared with one: `clock` does that, and records it for an auditor"
    said = f"{clock_sentence(record.event)}, at {Presenter().time(record.recorded_at)}"
    is_old = store.clock.now_ns() - record.recorded_at > AGE_MAX
    if is_off(record.event) or is_old:
        return False, f"{said}: have the machine's clock kept, and run `clock` again"
    return True, said


def _ns(text: str) -> int:
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        seconds = Decimal("NaN")
    if not seconds.is_finite() or abs(seconds) > Decimal(10) ** 9:
        msg = f"--offset {text!r:.40} is not a number of seconds, as in 0.000250"
        raise InvalidEvent(msg)
    return int(seconds.scaleb(9).to_integral_value())
