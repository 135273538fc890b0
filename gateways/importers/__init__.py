"""Import of files from brokers and data vendors: `import_file`, its formats and its table of contracts."""

from gateways.importers.base import BadRow, PlannedEvent
from gateways.importers.comparison import PnlRow
from gateways.importers.contracts import ContractEntry, ContractTable, UnlistedContract, contract_for, load_contracts
from gateways.importers.fills import FIELDS
from gateways.importers.formats import FORMATS
from gateways.importers.plan import READING, FileOptions, FilePlan, Progress, format_of, read_plan
from gateways.importers.runner import APPENDING, ImportReport, import_file

__all__ = [
    "APPENDING",
    "FIELDS",
    "FORMATS",
    "READING",
    "BadRow",
    "ContractEntry",
    "ContractTable",
    "FileOptions",
    "FilePlan",
    "ImportReport",
    "PlannedEvent",
    "PnlRow",
    "Progress",
    "UnlistedContract",
    "contract_for",
    "format_of",
    "import_file",
    "load_contracts",
    "read_plan",
]
