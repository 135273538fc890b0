"""API keys: who may ask a service, kept as hashes beside the log."""

from gateways.http.keys.authenticator import KeyAuthenticator
from gateways.http.keys.file import KeyFile
from gateways.http.keys.key import ApiKey

__all__ = ["ApiKey", "KeyAuthenticator", "KeyFile"]
