"""Packing the files of a bundle into its zip: the same files are the same bytes, and none changes unnoticed."""

from __future__ import annotations

import hashlib
import zipfile
from typing import IO, TYPE_CHECKING

from eventstore.proofs.standalone import verify_bundle as program

if TYPE_CHECKING:
    from collections.abc import Iterable

BUFFER = 1 << 20
# The same bundle is the same bytes: no file has the time at which it was packed.
_PACKED_AT = (1980, 1, 1, 0, 0, 0)


def put(packed: zipfile.ZipFile, name: str, content: IO[bytes] | bytes) -> dict[str, int | str]:
    """Write a file into the zip; return what the manifest states of it: size, SHA-256, that of its packed bytes."""
    info = zipfile.ZipInfo(name, _PACKED_AT)
    is_packed = name not in {program.MANIFEST, program.MANIFEST_NOTE}
    info.compress_type = zipfile.ZIP_DEFLATED if is_packed else zipfile.ZIP_STORED
    info.external_attr, info.create_system = 0o100600 << 16, 3
    found, size = hashlib.sha256(), 0
    if not isinstance(content, bytes):
        info.file_size = content.tell()
        content.seek(0)
    with packed.open(info, "w") as stream:
        for chunk in [content] if isinstance(content, bytes) else _chunks(content):
            stream.write(chunk)
            found.update(chunk)
            size += len(chunk)
    return {"bytes": size, "sha256": found.hexdigest(), "packed": _packed_hash(packed, info)}


def _packed_hash(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """Return the SHA-256 of a file's packed bytes, read back: so no bit of the zip can change unnoticed."""
    file = packed.fp
    assert file is not None, "the zip is open"
    found, left = hashlib.sha256(), info.compress_size
    file.seek(packed.start_dir - left)
    while left:
        chunk = file.read(min(left, BUFFER))
        found.update(chunk)
        left -= len(chunk)
    return found.hexdigest()


def _chunks(content: IO[bytes]) -> Iterable[bytes]:
    while chunk := content.read(BUFFER):
        yield chunk


def written(packed: zipfile.ZipFile) -> int:
    """Return up to where a zip is written for good: the next file follows there."""
    file = packed.fp
    assert file is not None, "the zip is open"
    file.flush()
    return packed.start_dir
