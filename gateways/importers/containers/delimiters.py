"""The delimiter of a CSV file, found by looking at its first lines."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from gateways.importers.containers.headers import find_header, is_filled

if TYPE_CHECKING:
    from gateways.importers.containers.table import Read

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_CHARACTERS = 1 << 16
NOTHING = (0, 0)


def delimiter_of(sample: str, read: Read, file: str) -> str:
    """Return the delimiter by which most cells of a sample stand under a header; a comma if none separates anything.

    A wrong one gives columns with other names, which no mapping has. Raises InvalidEvent if two fit as well.
    """
    fits = {delimiter: _fit(sample, delimiter, read, file) for delimiter in DELIMITERS}
    best = max(fits.values())
    found = [delimiter for delimiter, fit in fits.items() if fit == best]
    if min(best) > 0 and len(found) > 1:
        msg = (
            f"{file} may be delimited by {' or '.join(map(repr, found))}: state which in the mapping, as read.delimiter"
        )
        raise InvalidEvent(msg)
    return found[0]


def _fit(sample: str, delimiter: str, read: Read, file: str) -> tuple[int, int]:
    """Return 1 and how many cells stand under the header, it included; without one, 0 and how many of its names do."""
    try:
        lines = list(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter))
        if len(lines) > 1 and len(sample) >= SAMPLE_CHARACTERS:
            # The sample ends in the middle of a line.
            del lines[-1]
        if read.section is not None:
            return 1, sum(len(cells) for cells in lines if len(cells) > 1 and is_filled(cells))
    except csv.Error:
        return NOTHING
    rows = iter(list(enumerate(lines, 1)))
    try:
        _, header = find_header(rows, read.header, file)
    except InvalidEvent:
        names = set(read.header) if isinstance(read.header, tuple) else set()
        return 0, max((len(names.intersection(cells)) for cells in lines), default=0)
    if len(header) == 1:
        return NOTHING
    return 1, len(header) * (1 + sum(len(cells) == len(header) and is_filled(cells) for _, cells in rows))
