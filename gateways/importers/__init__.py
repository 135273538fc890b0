"""Import of files from brokers and data vendors: `import_file`, its formats and its table of contracts."""

from gateways.importers.base import BadRow, PlannedEvent
from gateways.importers.comparison import PnlRow, PnlSums
from gateways.importers.contract_names import UnlistedContract, contract_for
from gateways.importers.contracts import ContractEntry, ContractTable, load_contracts
from gateways.importers.fields import FIELDS
from gateways.importers.file_options import READING, SURVEYING, FileOptions, Progress
from gateways.importers.formats import FORMATS
from gateways.importers.mapping import Mapping
from gateways.importers.mapping_files import MappingFile, load_mapping, preset, presets, show_mapping
from gateways.importers.missing import MissingChoices
from gateways.importers.plan import FilePlan, read_plan
from gateways.importers.preview import Preview, preview_file, preview_of
from gateways.importers.recognition import format_of, formats_of
from gateways.importers.runner import APPENDING, ImportReport, append_plan, import_file
from gateways.importers.stated import stated_of

__all__ = [
    "APPENDING",
    "FIELDS",
    "FORMATS",
    "READING",
    "SURVEYING",
    "BadRow",
    "ContractEntry",
    "ContractTable",
    "FileOptions",
    "FilePlan",
    "ImportReport",
    "Mapping",
    "MappingFile",
    "MissingChoices",
    "PlannedEvent",
    "PnlRow",
    "PnlSums",
    "Preview",
    "Progress",
    "UnlistedContract",
    "append_plan",
    "contract_for",
    "format_of",
    "formats_of",
    "import_file",
    "load_contracts",
    "load_mapping",
    "preset",
    "presets",
    "preview_file",
    "preview_of",
    "read_plan",
    "show_mapping",
    "stated_of",
]
