"""How far the machine's clock was from the time of its sources: stream `clock/-/-`."""

from eventstore.events import QUEUED, Event, event

SOURCE_MAX = 200


def _problem_of(check: "ClockChecked") -> str | None:
    """Return what is wrong with the source."""
    if not check.source.strip() or not check.source.isprintable() or len(check.source) > SOURCE_MAX:
        return (
            f"source {check.source!r:.80} is not a name of 1 to {SOURCE_MAX} printable characters: say what was asked"
        )
    return None


@event(categories=("clock",), durability=QUEUED, problem_of=_problem_of)
class ClockChecked(Event, frozen=True, kw_only=True):
    """The wall clock was compared with a source of time, such as `chronyc`.

    `offset_ns` is how far the clock is ahead of that source, in ns, below zero if it is behind. It is None where the
    source does not say, and `why` says why not. `error_ns` is the largest error of that figure, where that is stated.
    """

    source: str
    offset_ns: int | None = None
    error_ns: int | None = None
    why: str = ""
