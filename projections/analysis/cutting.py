"""Pages of lines, as a journal joins them, cut into Arrow arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.libraries import arrow, compute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.journal import JoinedPage

_NUMBERS = frozenset(("position", "version", "schema", "recorded_at", "occurred_at"))


def arrays_of_lines(lines: JoinedPage, members: Sequence[str]) -> list[Any]:
    """Return an array of each member: of 64-bit integers, of bytes for `data`, of text for the others.

    Raises ValueError where there are other than so many lines as records, or one is not what its member is: then a
    value has line breaks, or the file is damaged. pyarrow's errors are ValueErrors.
    """
    return [_cut(lines.members[name], name, lines.rows) for name in members]


def _cut(joined: bytes, name: str, count: int) -> Any:  # noqa: ANN401 - an array of Arrow's
    pa, pc = arrow(), compute()
    kind = pa.binary() if name == "data" else pa.string()
    whole = pa.array([joined], pa.binary())
    cut = pc.split_pattern(whole if name == "data" else whole.cast(kind), "\n").flatten()
    if len(cut) != count:
        msg = f"{count} records have {len(cut)} lines of {name}"
        raise ValueError(msg)
    return cut.cast(pa.int64()) if name in _NUMBERS else cut
