"""Files of brokers and data vendors into the log: `import_file`, its formats and its table of contracts."""

from gateways.importers.base import BadRow, Planned
from gateways.importers.comparison import PnlRow
from gateways.importers.contracts import ContractTable, Listed, UnlistedContract, contract_for, load_contracts
from gateways.importers.fills import FIELDS
from gateways.importers.formats import FORMATS
from gateways.importers.runner import APPENDING, READING, ImportReport, import_file

__all__ = [
    "APPENDING",
    "FIELDS",
    "FORMATS",
    "READING",
    "BadRow",
    "ContractTable",
    "ImportReport",
    "Listed",
    "Planned",
    "PnlRow",
    "UnlistedContract",
    "contract_for",
    "import_file",
    "load_contracts",
]
