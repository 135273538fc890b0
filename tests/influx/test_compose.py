"""The compose file pins its images, contains no secret, and mounts files that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.influx.dashboards import FOLDER, ROOT
from tests.influx.servers import IMAGE

COMPOSE = ROOT / "compose"
TEXT = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
EXAMPLE = (COMPOSE / ".env.example").read_text(encoding="utf-8")
# The tests have no YAML parser: what is checked here is always written in one form.
SERVICES = dict(re.findall(r"^  ([\w-]+):\n((?:    .*\n|\n)+)", TEXT.partition("\nvolumes:\n")[0], re.MULTILINE))
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<kind>:[-?])?(?P<text>[^}]*)\}")
SECRET = re.compile("PASSWORD|TOKEN")
MOUNT = re.compile(r"^      - \./(?P<source>[^:\n]+):(?P<target>[^:\n]+):ro$", re.MULTILINE)


def test_the_services_are_found() -> None:
    assert list(SERVICES) == [
        *("influxdb", "grafana-token", "mirror-token", "log", "demo"),
        *("service", "policies", "mirror", "prometheus", "grafana"),
    ]


def test_every_image_has_an_exact_version() -> None:
    images = re.findall(r"image: (\S+)", TEXT)
    assert len(images) == len(SERVICES)
    assert [image for image in images if not re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", image)] == []
    assert {image for image in images if image.startswith("influxdb:")} == {influxdb()}
    assert influxdb().startswith(f"{IMAGE}.")
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {image for image in images if image.startswith("trading-eventstore:")} == {f"trading-eventstore:{own}"}


def influxdb() -> str:
    found = re.search(r"image: (influxdb:\S+)", TEXT)
    assert found
    version = re.search(r"influxdb/v2 v(\S+)", (ROOT / "tests" / "influxd" / "go.mod").read_text(encoding="utf-8"))
    assert version
    assert found[1] == f"influxdb:{version[1]}", "not the tested version"
    return found[1]


def test_a_variable_has_an_error_message_or_a_default_and_a_secret_no_default() -> None:
    for found in VARIABLE.finditer(TEXT):
        assert found["kind"], f"{found[0]}: give an error message or a default"
        assert found["text"], f"{found[0]}: give an error message"
        if SECRET.search(found["name"]):
            assert found["kind"] == ":?", f"{found[0]}: a secret has no default"
    secrets = re.findall(r"^ *(\w*(?:PASSWORD|TOKEN)\w*): *(.*)$", TEXT, re.MULTILINE)
    assert len(secrets) >= 4
    assert [name for name, value in secrets if not value.startswith("${") and not name.endswith("_FILE")] == []


def test_the_example_has_every_variable_and_no_secret() -> None:
    expected = {found["name"]: found["text"] if found["kind"] == ":-" else None for found in VARIABLE.finditer(TEXT)}
    found = {name: (bool(mark), value) for mark, name, value in re.findall(r"^(#?)(\w+)=(.*)$", EXAMPLE, re.MULTILINE)}
    assert set(found) == set(expected)
    for name, (is_comment, value) in found.items():
        assert is_comment == (expected[name] is not None), name
        assert expected[name] in {None, value}, name
        assert not (SECRET.search(name) and value), f"{name} is a secret: leave it empty"


def test_ports_are_bound_to_localhost_only() -> None:
    ports = re.findall(r'ports: \["(.*)"\]', TEXT)
    assert len(ports) == TEXT.count("ports:") == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("service", ["influxdb", "service", "policies", "mirror", "prometheus", "grafana"])
def test_a_permanent_service_has_a_health_check_limits_and_a_restart(service: str) -> None:
    text = SERVICES[service]
    for expected in ("restart: unless-stopped", "healthcheck:", "mem_limit:", "logging:"):
        assert expected in text
    assert re.search(r"-data:/(var/lib/|prometheus)", text)


@pytest.mark.parametrize("service", ["service", "policies", "mirror"])
def test_a_program_of_this_project_may_write_its_data_and_nothing_else(service: str) -> None:
    for expected in (
        "read_only: true",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
        "eventstore-data:/var/lib/eventstore",
    ):
        assert expected in SERVICES[service]
    # Nothing of it knows the token that may do everything.
    assert "ADMIN_TOKEN" not in SERVICES[service]


def test_what_a_service_waits_for_exists_and_ends() -> None:
    for name, text in SERVICES.items():
        for other, condition in re.findall(r"([\w-]+): \{condition: (\w+)\}", text):
            once = 'restart: "no"' in SERVICES[other]
            assert condition == ("service_completed_successfully" if once else "service_healthy"), name
            assert once or "healthcheck: {disable: true}" not in SERVICES[other]


def test_provisioned_files_exist_and_are_mounted() -> None:
    mounts = {found["source"]: found["target"] for found in MOUNT.finditer(TEXT)}
    assert len(MOUNT.findall(TEXT)) == TEXT.count("- ./")
    for source in mounts:
        assert (COMPOSE / source).exists(), source
    for folder in ("grafana", "influxdb", "prometheus", "service"):
        for path in (COMPOSE / folder).rglob("*"):
            if path.is_file() and path.suffix not in {".py", ".pyc"}:
                above = {
                    str(parent.relative_to(COMPOSE)) for parent in (path, *path.parents) if COMPOSE in parent.parents
                }
                assert above & set(mounts), f"{path.relative_to(COMPOSE)} is not mounted"
    provisioning = COMPOSE / "grafana" / "provisioning"
    provider = (provisioning / "dashboards" / "eventstore.yaml").read_text(encoding="utf-8")
    assert f"path: {mounts[str(FOLDER.relative_to(COMPOSE))]}\n" in provider
    volumes = set(re.findall(r"^  ([\w-]+):$", TEXT.partition("\nvolumes:\n")[2], re.MULTILINE))
    assert volumes == set(re.findall(r"^      - ([\w-]+):/", TEXT, re.MULTILINE))


def test_grafana_has_a_read_token_of_its_own() -> None:
    source = (COMPOSE / "grafana" / "provisioning" / "datasources" / "influxdb.yaml").read_text(encoding="utf-8")
    assert "token: $__file{/run/influxdb/token}" in source
    assert "- grafana-token:/run/influxdb:ro" in SERVICES["grafana"]
    assert "ADMIN_TOKEN" not in SERVICES["grafana"]
    # The script gives what these flags say, and nothing else.
    assert 'entrypoint: [sh, /make-token.sh, "472", Grafana reads, --read-bucket]\n' in SERVICES["grafana-token"]
    assert "-bucket" not in (COMPOSE / "influxdb" / "make-token.sh").read_text(encoding="utf-8").partition("set -eu")[2]


def test_grafana_requires_a_login_and_fetches_nothing() -> None:
    for name, value in {
        "GF_AUTH_ANONYMOUS_ENABLED": "false",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    }.items():
        assert f'{name}: "{value}"' in SERVICES["grafana"]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A checkout's Makefile and compose folder, and a `docker` that logs its arguments."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "compose").mkdir()
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\necho "$@" >>calls\n', encoding="utf-8")
    docker.chmod(0o755)
    return tmp_path


def make(desk: Path, target: str) -> subprocess.CompletedProcess[str]:
    path = f"{desk / 'bin'}:/usr/bin:/bin"
    return subprocess.run(
        ["make", target], cwd=desk, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("target", ["up", "down", "demo-stack"])
def test_make_reports_a_missing_docker_compose_in_one_line(desk: Path, target: str) -> None:
    (desk / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    ran = make(desk, target)
    assert ran.returncode
    assert ran.stderr.splitlines()[0] == f"{target}: docker compose not found: install Docker"


@pytest.mark.parametrize("target", ["up", "down", "demo-stack"])
def test_make_reports_missing_settings_in_one_line(desk: Path, target: str) -> None:
    ran = make(desk, target)
    assert ran.returncode
    assert ran.stderr.splitlines()[0].startswith(f"{target}: compose/.env not found: cp compose/.env.example")
    assert (desk / "calls").read_text(encoding="utf-8") == "compose version\n"


@pytest.mark.parametrize(("target", "arguments"), [("up", "up --build --detach --wait"), ("down", "down")])
def test_make_starts_and_stops_the_services(desk: Path, target: str, arguments: str) -> None:
    (desk / "compose" / ".env").touch()
    ran = make(desk, target)
    assert (ran.returncode, ran.stderr) == (0, "")
    calls = (desk / "calls").read_text(encoding="utf-8").splitlines()
    assert calls == ["compose version", f"compose --file compose/compose.yaml {arguments}"]


def test_the_demo_s_day_is_played_before_anything_else_starts(desk: Path) -> None:
    (desk / "compose" / ".env").touch()
    ran = make(desk, "demo-stack")
    assert (ran.returncode, ran.stderr) == (0, "")
    calls = (desk / "calls").read_text(encoding="utf-8").splitlines()
    assert [call.removeprefix("compose --file compose/compose.yaml ") for call in calls] == [
        *("compose version", "build demo", "run --rm --no-deps demo"),
        *("compose version", "up --build --detach --wait"),
    ]
