"""HTML reports, as MetaTrader 4 and 5 write them: titled tables in one table, or several."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent
from gateways.importers.containers.html_rows import UnfitHtmlError, html_rows
from gateways.importers.containers.report import no_tables, report_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateways.importers.containers.content import FileContent
    from gateways.importers.containers.report import GridRow
    from gateways.importers.containers.table import Read, Table

_HEAD_BYTES = 4_096
_CHARSET = re.compile(rb"<meta[^>]*\bcharset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)


def open_html(content: FileContent, read: Read) -> Sequence[Table]:
    """Return the tables of an HTML file; raise InvalidEvent if it has none, or none with the title that is named.

    Without a byte order mark and a declared encoding, the one that the file's own <meta> names is used.
    """
    found = _CHARSET.search(content.head(_HEAD_BYTES)) if content.encoding is None else None
    if found is not None:
        content = content.in_encoding(found[1].decode())

    @contextlib.contextmanager
    def open_rows() -> Iterator[Iterable[GridRow]]:
        try:
            with content.open_text() as text:
                yield html_rows(text)
        except UnfitHtmlError as e:
            msg = f"{content.file}, {e}"
            raise InvalidEvent(msg) from e

    tables = report_tables(open_rows, read, content.file)
    if not tables:
        raise no_tables(content.file, read, ())
    return tables
