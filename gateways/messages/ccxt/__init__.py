"""Messages of exchanges as CCXT unifies them."""

from gateways.messages.ccxt.mapping import Ccxt
from gateways.messages.ccxt.settings import CcxtSettings, LedgerFee, PrecisionMode
from gateways.messages.ccxt.structures import FIELDS, LEFT_OUT

__all__ = ["FIELDS", "LEFT_OUT", "Ccxt", "CcxtSettings", "LedgerFee", "PrecisionMode"]
