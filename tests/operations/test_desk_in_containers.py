"""The desk of compose/ in real containers: the service, the policies and the mirror by our image, and an InfluxDB."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import docker
import httpx
import pytest
import yaml  # type: ignore[import-untyped]
from docker.models.containers import Container

from tests.influx.api import Server
from tests.operations.image import ROOT
from tests.waiting import until

pytestmark = pytest.mark.image

SECONDS_MAX = 120
VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")
RUNNING = re.compile(r"^eventstore_policies_running{.*} (\d)", re.MULTILINE)
ORG, BUCKET = "desk", "events"
NS_PER_SECOND = 1_000_000_000
UNITS = {"s": 1, "m": 60}
EVENT = {"type": "AccountOpened", "data": {"starting_balance": "50000", "currency": "USD"}}


class Desk(NamedTuple):
    """An engine, with what belongs to one desk: a network, volumes by a prefix, and InfluxDB."""

    engine: docker.DockerClient
    name: str
    influxdb: Server
    services: dict[str, dict[str, Any]]

    def start(self, name: str) -> Container:
        """Start a container as compose.yaml describes it."""
        return self.engine.containers.run(**self._options(self.services[name]), detach=True)

    def run(self, name: str, *command: str, user: str | None = None) -> str:
        """Run a command where a service has its volumes; return what it prints."""
        options = self._options(self.services[name]) | {"entrypoint": command[0], "command": list(command[1:])}
        options |= {"remove": True, "ports": {}, "user": user}
        output: bytes = self.engine.containers.run(**options)
        return output.decode()

    def _options(self, service: dict[str, Any]) -> dict[str, Any]:
        """Return a service of compose.yaml as docker-py takes it."""
        environment = {name: self._filled(str(text)) for name, text in service.get("environment", {}).items()}
        options = {"image": os.environ["EVENTSTORE_IMAGE"], "network": self.name, "environment": environment}
        options |= {
            name: service[name] for name in ("command", "read_only", "cap_drop", "security_opt") if name in service
        }
        if "entrypoint" in service:
            options["entrypoint"] = service["entrypoint"]
        if "mem_limit" in service:
            options["mem_limit"] = self._filled(service["mem_limit"])
        options["tmpfs"] = dict.fromkeys(service.get("tmpfs", ()), "")
        options["volumes"] = [self._volume(each) for each in service.get("volumes", ())]
        # Any free port of this machine instead of the one that is meant for people.
        options["ports"] = {f"{each.rpartition(':')[2]}/tcp": ("127.0.0.1", None) for each in service.get("ports", ())}
        health = service.get("healthcheck", {})
        if "test" in health:
            options["healthcheck"] = {
                "test": health["test"],
                "interval": _seconds(health["interval"]) * NS_PER_SECOND,
                "timeout": _seconds(health["timeout"]) * NS_PER_SECOND,
                "retries": health["retries"],
            }
        return options

    def _filled(self, text: str) -> str:
        known = {"INFLUXDB_ORG": ORG, "INFLUXDB_BUCKET": BUCKET}
        return VARIABLE.sub(lambda found: known.get(found[1]) or found[2], text)

    def _volume(self, text: str) -> str:
        source, _, target = text.partition(":")
        return f"{ROOT / 'compose' / source if source.startswith('.') else f'{self.name}-{source}'}:{target}"


def _seconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def port_of(container: Container, port: int) -> str:
    container.reload()
    (binding,) = container.ports[f"{port}/tcp"]
    return f"http://127.0.0.1:{binding['HostPort']}"


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    engine = docker.from_env(timeout=SECONDS_MAX)
    name = f"desk-{secrets.token_hex(4)}"
    network = engine.networks.create(name)
    try:
        influxdb = engine.containers.run(
            os.environ["INFLUXDB_IMAGE"], detach=True, network=name, hostname="influxdb", name=f"{name}-influxdb",
            networking_config={name: engine.api.create_endpoint_config(aliases=["influxdb"])},
            ports={"8086/tcp": ("127.0.0.1", None)},
        )  # fmt: skip
        server = Server(port_of(influxdb, 8086), ORG, secrets.token_hex())
        until(server.is_ready, "InfluxDB does not become ready", SECONDS_MAX)
        server.set_up()
        server.make_bucket(name=BUCKET)
        services = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text(encoding="utf-8"))["services"]
        yield Desk(engine, name, server, services)
    finally:
        for container in engine.containers.list(all=True, filters={"network": name}):
            container.remove(force=True, v=True)
        for volume in engine.volumes.list(filters={"name": name}):
            volume.remove(force=True)
        network.remove()
        engine.close()


def test_the_image_is_what_the_dockerfile_says(desk: Desk) -> None:
    config = desk.engine.images.get(os.environ["EVENTSTORE_IMAGE"]).attrs["Config"]
    assert (config["User"], config["Entrypoint"]) == ("10001:10001", ["eventstore"])
    assert config["Cmd"] == ["serve", "--host", "0.0.0.0"]  # noqa: S104 - of the container
    assert list(config["Volumes"]) == ["/var/lib/eventstore"]
    assert "/health/live" in " ".join(config["Healthcheck"]["Test"])
    program = "import os, sys; print(os.getuid(), os.access('/opt/eventstore', os.W_OK), sys.prefix)"
    assert desk.run("demo", "python", "-c", program).split() == ["10001", "False", "/opt/eventstore"]
    with pytest.raises(docker.errors.ContainerError, match="No module named pip"):
        desk.run("demo", "python", "-m", "pip", "--version")


def test_a_desk_serves_judges_and_mirrors_until_it_is_stopped(desk: Desk) -> None:
    for name in ("log", "demo"):
        started = desk.start(name)
        assert started.wait(timeout=SECONDS_MAX)["StatusCode"] == 0, started.logs().decode()
    prometheus = desk.run("log", "python", "-c", "print(open('/key/key').read())").split()[-1]
    writer = desk.run("demo", "eventstore", "api-keys", "add", "desk", "--scope", "append").split()[-1]
    token = desk.influxdb.make_token(BUCKET, read=True, write=True)
    desk.run(
        "mirror-token", "python", "-c",
        f"import os; p = '/token/token'; open(p, 'w').write('{token}'); os.chown(p, 10001, 10001); os.chmod(p, 0o600)",
        user="0",
    )  # fmt: skip
    running = {name: desk.start(name) for name in ("service", "policies", "mirror")}
    service = running["service"]
    until(lambda: _health(service) == "healthy", "the service does not become healthy", SECONDS_MAX)
    url = port_of(service, 8000)
    body = {"events": [EVENT]}
    appended = ask(f"{url}/v1/streams/account/NEW1/-", writer, body)
    position = json.loads(appended)["records"][0]["position"]
    until(
        lambda: f"eventstore_log_position {position}" in ask(f"{url}/metrics", prometheus), "not counted", SECONDS_MAX
    )
    until(lambda: mirrored(desk.influxdb) == position, "not mirrored", SECONDS_MAX)
    until(lambda: set(RUNNING.findall(ask(f"{url}/metrics", prometheus))) == {"1"}, "no policies", SECONDS_MAX)
    for name, container in running.items():
        container.stop(timeout=SECONDS_MAX)
        assert container.wait()["StatusCode"] == 0, f"{name}: {container.logs().decode()}"
    assert "ok" in desk.run("demo", "eventstore", "verify")


def _health(container: Container) -> str:
    container.reload()
    return str(container.attrs["State"].get("Health", {}).get("Status"))


def ask(url: str, key: str, body: object = None) -> str:
    headers, method = {"Authorization": f"Bearer {key}"}, "GET" if body is None else "POST"
    answer = httpx.request(method, url, headers=headers, json=body, timeout=SECONDS_MAX, trust_env=False)
    return answer.raise_for_status().text


def mirrored(server: Server) -> int:
    """Return the newest position that InfluxDB has."""
    rows = server.flux(
        f'from(bucket: "{BUCKET}") |> range(start: 1970-01-01T00:00:00Z) '
        '|> filter(fn: (r) => r._field == "position") |> group() |> max()'
    )
    return max((int(row["_value"]) for row in rows), default=0)
