"""How files hold tables: CSV, JSON, SQLite, workbooks and HTML reports, all as rows of text cells by column."""

from gateways.importers.containers.opening import container_of, open_tables
from gateways.importers.containers.table import CONTAINERS, Read, Table

__all__ = ["CONTAINERS", "Read", "Table", "container_of", "open_tables"]
