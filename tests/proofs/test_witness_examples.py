"""The example witnesses: a directory, a time stamp of a service; what contradicts what they have is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from eventstore.proofs import Checkpoint
from eventstore.proofs.keys import PrivateKey
from tests.cli.command import ROOT, plain_environment
from tests.proofs.signed_logs import SignedLog

LOG = PrivateKey("example.com/log", bytes(range(32)))
EXAMPLES = ROOT / "examples"
AUTHORITY = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.pem -days 9 -subj /CN=tsa -config tsa.cnf
"""
CONFIGURATION = """
[req]
distinguished_name = name
x509_extensions = stamping
[name]
[stamping]
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = service
[service]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
"""


def signed(size: int, root: bytes = bytes(32), by: PrivateKey = LOG) -> Checkpoint:
    bare = Checkpoint(by.public.name, size, root)
    return bare.with_signatures([by.sign(bare.body)])


def ask(example: str, note: str, *arguments: object) -> tuple[int, str]:
    command = [sys.executable, str(EXAMPLES / example), *map(str, arguments)]
    done = subprocess.run(  # noqa: PLW1510 - the exit code is what is looked at
        command, input=note, capture_output=True, text=True, timeout=120, env=plain_environment()
    )
    return done.returncode, done.stderr


def test_a_directory_keeps_what_follows_and_refuses_two_histories(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for note, why in (
        (signed(7).text, ""),
        (signed(7).text, ""),
        (signed(9).text, ""),
        (signed(9, bytes([1] * 32)).text, "another root was kept for size 9"),
        (signed(8).text, "size 9 was kept before, and this is 8"),
        (signed(7).text, "size 9 was kept before, and this is 7"),
        (signed(8, by=PrivateKey("example.com/other", bytes(32))).text, "not signed by a key given"),
        (signed(10).text.replace("\n10\n", "\n11\n"), "does not fit"),
        ("", "no blank line"),
        (signed(11).text, ""),
    ):
        code, errors = ask("witness_directory.py", note, kept, "--key", LOG.public.text)
        assert (code, why in errors) == (1 if why else 0, True), (note, errors)
    files = sorted(kept.glob("*/*"))
    assert [Checkpoint.parse(path.read_bytes()).size for path in files] == [7, 9, 11]


def test_a_directory_is_a_witness_of_a_log(log: SignedLog, tmp_path: Path) -> None:
    [key] = log.folder.all()
    command = [sys.executable, str(EXAMPLES / "witness_directory.py"), str(tmp_path / "usb"), "--key", key.key]
    settings = log.settings({"usb": ["env", f"PYTHONPATH={ROOT}", *command]})
    assert log.sign(settings=settings).is_witnessed
    [kept] = (tmp_path / "usb").glob("*/*")
    assert kept.read_text() == log.checkpoints_path.read_text()


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[str]:
    """A service of time stamps on this machine, as OpenSSL makes one."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (tmp_path / "tsa.cnf").write_text(CONFIGURATION)
    (tmp_path / "serial").write_text("01\n")
    subprocess.run(AUTHORITY.split(), cwd=tmp_path, check=True, capture_output=True)

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            (tmp_path / "query").write_bytes(query)
            reply = ["openssl", "ts", "-reply", "-queryfile", "query", "-config", "tsa.cnf"]
            answer = subprocess.run(reply, cwd=tmp_path, check=True, capture_output=True).stdout
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"no stamp" if self.path == "/broken" else answer)

        @override
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_time_stamp_is_kept_once_it_is_verified(authority: str, tmp_path: Path) -> None:
    stamps, certificate = tmp_path / "stamps", tmp_path / "tsa.pem"
    note = signed(7).text
    assert ask("witness_rfc3161.py", note, f"{authority}/", stamps, "--ca", certificate) == (0, "")
    [text], [answer] = stamps.glob("*.txt"), stamps.glob("*.tsr")
    check = ["openssl", "ts", "-verify", "-data", str(text), "-in", str(answer), "-CAfile", str(certificate)]
    subprocess.run(check, check=True, capture_output=True)
    text.write_text(note.replace("7", "8"))
    assert subprocess.run(check, check=False, capture_output=True).returncode != 0
    for url in (f"{authority}/broken", "http://127.0.0.1:1/"):
        code, errors = ask("witness_rfc3161.py", signed(8).text, url, stamps, "--ca", certificate)
        assert (code, errors != "") == (1, True)
    assert len(list(stamps.glob("*.tsr"))) == 1
