"""`adopt`: the right to ship a log to InfluxDB, for a journal that was moved, copied or restored."""

from __future__ import annotations

from eventstore import InfluxSettings
from gateways.cli import options, stores
from gateways.cli.options import CommonOptions
from gateways.presenting.output import put, put_json


@options.command()
def adopt(common: CommonOptions) -> None:
    """Let this copy of a journal ship the log from now on, after it was moved, copied or restored.

    The copy that shipped until now is refused from then on. Use this only if no one appends to that copy any more.
    """
    from eventstore.influx.repair import restore

    settings = InfluxSettings.load()
    with stores.open_journal(common) as journal:
        before = restore.adopt(settings, journal.path.parent, common.log, journal.log_id)
    if common.as_json:
        put_json({"log": common.log, "adopted": True, "before": before.host})
        return
    put(f"log {common.log} is shipped from here from now on; until now it was shipped from {before.host}")
