"""What a caller may say about a file beside its format, and how progress is reported."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as AnyMapping
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from datetime import date as Date  # noqa: N812 - `date` is an argument's name
    from pathlib import Path

    from gateways.importers.contracts import Tables
    from gateways.importers.mapping_files import Answers, MappingFile

Progress = Callable[[str, int, int | None], None]
SURVEYING = "surveying"
"""The phase of progress in which a whole file is read for what its columns say."""
READING = "reading"
"""The phase of progress in which a file is read."""
STEP = 1_000
"""After how many rows progress is reported."""


class FileOptions(TypedDict, total=False):
    """What may be said about a file beside its format.

    `account` is the account of all rows, or a column of the file; without it, the file must name one. `symbol` is the
    contract of rows without one, `date` (a date or ISO text) the day of a lobster file, if the file's name does not say
    them. `mapping` is the mapping of the file, as `load_mapping` returns it or the path of its TOML file; for fills, it
    may be fields by column. `answers` are members of the mapping by their dotted names, such as
    `{"time.zone": "America/Chicago"}`: what `MissingChoices` asks for. `zone` is that of times without one.
    With `alongside`, executions that the log has from another export of the account are counted once; without it,
    such a file is refused. `contracts` is a table, or a TOML file, used before the built-in one; an archive that
    expands to more than `bytes_max` is rejected. With `keep_going` rows that cannot be read are left out and listed.
    `progress(phase, done, total)` is called every 1,000 rows, with the phase SURVEYING and the total None because it is
    unknown, and then with the phase READING; the total is None there only where nothing was surveyed.
    """

    account: str | None
    symbol: str | None
    date: Date | str | None
    mapping: AnyMapping[str, str] | MappingFile | str | Path | None
    answers: Answers | None
    zone: str | None
    alongside: bool
    contracts: Tables | None
    keep_going: bool
    bytes_max: int
    progress: Progress | None
