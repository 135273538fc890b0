"""Real InfluxDB 2 servers for tests: an existing one, one in a container, or a process of our own."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import gc
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from tests.influx.api import Refused, Server

__all__ = [
    "Absent",
    "ContainerServer",
    "LocalServer",
    "Refused",
    "Server",
    "find_influxd",
    "must_have_server",
    "opened",
]

START_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 10.0
PING_SECONDS_MAX: Final = 5
PULL_SECONDS_MAX: Final = 60
PORTS_TRIED_MAX: Final = 20
# Below the range of outgoing connections: no client takes the port of a server that restarts.
PORTS: Final = range(20_000, 32_768)
POLL_SECONDS: Final = 0.02
IMAGE: Final = "influxdb:2.7"
BUILD: Final = Path(__file__).resolve().parents[1] / "influxd" / "build"
TOOLS: Final = ("go", "cargo", "rustup", "gcc", "pkg-config")
CURE: Final = (
    "start Docker, or install go, rustup, gcc and pkg-config to build influxd, "
    "or set EVENTSTORE_TEST_INFLUX_URL, _ORG and _TOKEN"
)


class Absent(Exception):
    """No such server is available; the text says in one line why, or how to get one."""


class LocalServer(Server):
    """A local influxd on 127.0.0.1, with its data in `directory`: it may be killed, paused and restarted.

    It ends with the process that started it, however that ends.
    """

    def __init__(self, influxd: Path, directory: Path) -> None:
        super().__init__("", "tests", secrets.token_hex())
        self._influxd, self._directory = influxd, directory
        self._log = directory / "influxd.log"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on a free port, wait until it is ready, and set it up."""
        assert self._process is None, "started before: restart it"
        self._directory.mkdir(parents=True, exist_ok=True)
        for _ in range(PORTS_TRIED_MAX):
            self._port = free_port()
            self.url = f"http://127.0.0.1:{self._port}"
            if self._launch():
                self.set_up()
                return
        msg = f"influxd found no free port in {PORTS_TRIED_MAX} attempts"
        raise Absent(msg)

    def restart(self) -> None:
        """Restart it in the same directory and on the same port, after `kill` or while it runs."""
        self.stop()
        assert self._launch(), f"port {self._port} is taken"

    def kill(self) -> None:
        """Kill it: nothing is flushed."""
        self._signal(signal.SIGKILL)
        self._end(STOP_SECONDS_MAX)

    def pause(self) -> None:
        """Suspend it: it accepts connections but does not respond."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @override
    def stop(self) -> None:
        """Stop it, even if it is paused or dead."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        try:
            self._end(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "not running"
        self._process.send_signal(number)

    def _end(self, seconds_max: float) -> None:
        assert self._process is not None
        self._process.wait(seconds_max)
        self._process = None

    def _launch(self) -> bool:
        """Return whether it runs: False if another process has the port."""
        paths = ("bolt", "sqlite", "engine")
        places = [part for path in paths for part in (f"--{path}-path", str(self._directory / path))]
        address = ["--http-bind-address", f"127.0.0.1:{self._port}"]
        with self._log.open("wb") as log:
            command = [str(self._influxd), *places, *address, "--reporting-disabled"]
            self._process = _starter.submit(_start, command, log.fileno()).result()
        end = time.monotonic() + START_SECONDS_MAX
        # A server that responds on the port may be another test's: this one logs that it listens.
        while b"Listening" not in self._log.read_bytes() or not self.is_ready():
            if self._process.poll() is None and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
                continue
            self.kill()
            text = self._log.read_text(encoding="utf-8", errors="replace")
            if "address already in use" in text:
                return False
            msg = f"influxd did not start: {' '.join(text.splitlines()[-1:])}"
            raise Absent(msg)
        return True


class ContainerServer(Server):
    """The image `influxdb:2.7`, or the one INFLUXDB_IMAGE names, in a container."""

    def __init__(self) -> None:
        super().__init__("", "tests", secrets.token_hex())
        from testcontainers.core.container import DockerContainer

        self._image = os.environ.get("INFLUXDB_IMAGE", IMAGE)
        self._container = DockerContainer(self._image, docker_client_kw={"timeout": PULL_SECONDS_MAX})

    def start(self) -> None:
        self._container.with_exposed_ports(8086)
        client = self._container.get_docker_client()
        if client.get_connection_mode().name == "docker_host" and client.host() in {"localhost", "127.0.0.1"}:
            # The engine accepts pairs too, which the type annotations omit.
            ports: dict[str, Any] = self._container.ports
            ports["8086"] = ("127.0.0.1", None)
        self._container.start()
        host, port = self._container.get_container_host_ip(), self._container.get_exposed_port(8086)
        self.url = f"http://{host}:{port}"
        end = time.monotonic() + START_SECONDS_MAX
        while not self.is_ready():
            if time.monotonic() > end:
                msg = f"{self._image} does not become ready at {self.url}"
                raise Absent(msg)
            time.sleep(POLL_SECONDS)
        self.set_up()

    @override
    def stop(self) -> None:
        self._container.stop()


def open_server(directory: Path) -> Server:
    """Return the first available server: the named one, a container, or an influxd with its data in the directory."""
    match _requested_kind():
        case "url":
            return _named()
        case "docker":
            return _contained()
        case "influxd":
            return _local(directory)
        case None:
            try:
                return _contained()
            except Absent:
                return _local(directory)
        case _:
            msg = f"EVENTSTORE_TEST_INFLUX is url, docker or influxd, not {os.environ['EVENTSTORE_TEST_INFLUX']}"
            raise Absent(msg)


def must_have_server() -> bool:
    """Return whether a missing server is a failure: in CI, and if a kind of server is requested."""
    return os.environ.get("CI") == "true" or _requested_kind() is not None


def _requested_kind() -> str | None:
    """Return the kind of server that the environment requests: no other may replace it."""
    if kind := os.environ.get("EVENTSTORE_TEST_INFLUX"):
        return kind
    if "EVENTSTORE_TEST_INFLUX_URL" in os.environ:
        return "url"
    return "docker" if "INFLUXDB_IMAGE" in os.environ else None


def find_influxd() -> Path:
    """Return the influxd in the cache; build it first if the tools are available. One process builds, others wait."""
    version = re.search(r"influxdb/v2 v(\S+)", (BUILD.parent / "go.mod").read_text(encoding="utf-8"))
    assert version is not None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eventstore"
    influxd = cache / f"influxd-{version[1]}"
    if influxd.exists():
        return influxd
    if not all(shutil.which(tool) for tool in TOOLS):
        msg = f"no InfluxDB for tests: {CURE}"
        raise Absent(msg)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "building.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if subprocess.run([BUILD], stdout=subprocess.DEVNULL, check=False).returncode:
            msg = f"tests/influxd/build failed: {CURE}"
            raise Absent(msg)
    return influxd


def free_port() -> int:
    """Return a port of 127.0.0.1 without a listener."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def main() -> int:
    """Print in one line which server the tests will use, after building it if needed, or how to get one."""
    try:
        with tempfile.TemporaryDirectory() as directory, opened(Path(directory)) as server:
            print(f"influx: the tests will use {server}")  # noqa: T201 - the product
    except Absent as absent:
        print(f"influx: {absent}", file=sys.stderr)  # noqa: T201
        return int(os.environ.get("CI") == "true")
    return 0


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Server]:
    """Open a server, and stop it at the end."""
    server = open_server(directory)
    try:
        yield server
    finally:
        server.stop()


def _named() -> Server:
    try:
        server = Server(*(os.environ[f"EVENTSTORE_TEST_INFLUX_{name}"] for name in ("URL", "ORG", "TOKEN")))
    except KeyError as error:
        msg = f"{error.args[0]} is not set"
        raise Absent(msg) from error
    if not server.is_ready():
        msg = f"no InfluxDB responds at EVENTSTORE_TEST_INFLUX_URL={server.url}"
        raise Absent(msg)
    return server


def _contained() -> Server:
    if not _engine_responds():
        msg = f"no Docker engine responds: {CURE}"
        raise Absent(msg)
    server = ContainerServer()
    try:
        server.start()
    except Exception as error:
        # Between here and a ready container stand an engine, a registry and three libraries, each with its own errors.
        server.stop()
        msg = f"Docker cannot run an InfluxDB ({' '.join(str(error).split())}): {CURE}"
        raise Absent(msg) from error
    except BaseException:
        server.stop()
        raise
    return server


def _engine_responds() -> bool:
    import docker
    from docker.errors import DockerException
    from requests import RequestException

    # Without an engine, Docker's client leaves unclosed sockets behind: they are collected here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        responds = True
        try:
            with contextlib.closing(docker.from_env(timeout=PING_SECONDS_MAX)) as client:
                client.ping()
        except (DockerException, RequestException, OSError):
            responds = False
        gc.collect()
    return responds


def _local(directory: Path) -> Server:
    server = LocalServer(find_influxd(), directory)
    server.start()
    return server


# For the kernel, the parent is the thread that started a process: this one lives as long as this process.
_starter = concurrent.futures.ThreadPoolExecutor(max_workers=1)
# Arranges to die with its parent, then becomes influxd; a new process, since a fork of a thread must run no Python.
_TIED = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def _start(command: list[str], log: int) -> subprocess.Popen[bytes]:
    tied = [sys.executable, "-S", "-E", "-c", _TIED, str(os.getpid()), *command]
    # In its own session, so that Ctrl-C reaches the tests only, which then stop it.
    return subprocess.Popen(tied, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


if __name__ == "__main__":
    sys.exit(main())
