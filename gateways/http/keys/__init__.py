"""API keys: who may ask a service, kept as hashes beside the log."""

from gateways.http.keys.authenticator import KeyAuthenticator
from gateways.http.keys.document import KeyDocument
from gateways.http.keys.file import KeyFile
from gateways.http.keys.key import ApiKey
from gateways.http.keys.stored import StoredKeys

__all__ = ["ApiKey", "KeyAuthenticator", "KeyDocument", "KeyFile", "StoredKeys"]
