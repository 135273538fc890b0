"""`adopt`: lets a journal that was moved, copied or restored ship its log to InfluxDB."""

from __future__ import annotations

from eventstore import InfluxSettings
from gateways.cli import options, stores
from gateways.cli.options import CommonOptions
from gateways.presenting.output import put, put_json


@options.command(postgres=True)
def adopt(common: CommonOptions) -> None:
    """Make this copy of a journal the one that ships, after it was moved, copied or restored.

    The copy that shipped before can no longer ship. Adopt only if nothing is appended to that copy any more.
    """
    from eventstore.influx.repair import restore

    settings = InfluxSettings.load()
    with stores.open_journal(common) as (journal, side):
        log = journal.log
        before = restore.adopt(settings, side, log, journal.log_id)
    if common.as_json:
        put_json({"log": log, "adopted": True, "before": before.host})
        return
    put(f"log {log} now ships from here; before, it shipped from {before.host}")
