"""Text from others: nothing that steers a terminal, hides or reorders text reaches stdout or stderr."""

from __future__ import annotations

import json
import os
import re
import shutil
import unicodedata
from datetime import date
from decimal import Decimal
from pathlib import Path
from unittest import mock

import pytest

import eventstore
from eventstore.events import validation
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    AgreedBreak,
    ContractDefined,
    DaySigned,
    EnforcementAction,
    EnforcementRequested,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    Marked,
    OrderFilled,
    OrderSubmitted,
    PositionReported,
    SessionOpened,
    Side,
)
from gateways.cli import app
from gateways.presenting.tables import width
from tests.cli.command import NINE, SECOND, Run, on_terminal

HOSTILE = "[red]\x1b]0;x\x07\x9b31m\x85\x7f\u202e\u2066\u200b\u200f\u061c\u2028\r\n\tend[/red]"
# A stream's entity is printable text: invisible characters that Python counts as printable are left to it.
ENTITY = "[bold]\u034f\ufe0f\u3164x"
FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
INVISIBLE = "\u034f\u115f\u1160\u3164\ufe0f\uffa0"


def hostile_log(directory: Path) -> None:
    """Append an event of each kind that a command shows, its text as bad as the store takes it."""
    with eventstore.open(directory) as store:

        def add(stream: str, event: eventstore.Event, second: int) -> None:
            store.append(stream, event, occurred_at=NINE + second * SECOND, actor=HOSTILE, note=HOSTILE)

        add("contract/-/X", ContractDefined(symbol=HOSTILE, multiplier=Decimal(50), currency="USD"), 0)
        opened = AccountOpened(starting_balance=Decimal(1000), currency="USD", program=HOSTILE)
        add("account/A/-", opened, 1)
        session = SessionOpened(trading_day=date(2025, 11, 19), began_at=NINE, zone=HOSTILE)
        add("session/A/2025-11-19", session, 1)
        order = OrderSubmitted(symbol=HOSTILE, side=Side.BUY, quantity=Decimal(3), strategy=HOSTILE)
        add(f"order/A/{ENTITY}", order, 2)
        fill = OrderFilled(
            trade_id=HOSTILE, symbol=HOSTILE, side=Side.BUY, quantity=Decimal(1), price=Decimal(5), fee_currency=HOSTILE
        )
        # As older versions stored it, which did not check the codes of currencies.
        with mock.patch.object(validation, "_CURRENCY", re.compile(".*", re.DOTALL)):
            add("order/A/O-2", fill, 3)
            add("order/A/O-2", fill, 4)
        add("position/A/X", PositionReported(symbol=HOSTILE, quantity=Decimal(7)), 5)
        add(f"limits/A/{ENTITY}", LimitsSet(rule_id=HOSTILE, parameters={HOSTILE: HOSTILE, "list": [HOSTILE]}), 6)
        # The same of scopes.
        with mock.patch("eventstore.trading.lockouts.is_scope", return_value=True):
            add(f"lockout/A/{ENTITY}", LockoutSet(rule_id=HOSTILE, scope=f"symbol:{HOSTILE}", reason=HOSTILE), 7)
        add("lockout/A/other", LockoutCleared(by=HOSTILE, reason=HOSTILE), 8)
        asked = EnforcementRequested(rule_id=HOSTILE, action=EnforcementAction.FLATTEN, reason=HOSTILE, symbol=HOSTILE)
        add(f"enforcement/A/{ENTITY}", asked, 9)
        add(f"mark/-/{ENTITY}", Marked(name=ENTITY), 10)
        add("account/B/-", AccountConfigured(second_approver="[red]x[/red]"), 11)
        add(f"lockout/B/{ENTITY}", LockoutSet(rule_id=HOSTILE, reason=HOSTILE), 12)
        add(f"lockout/B/{ENTITY}", LockoutCleared(rule_id=HOSTILE, by=HOSTILE, reason=HOSTILE), 13)
        agreed = AgreedBreak(kind=HOSTILE, what=HOSTILE)
        add("audit/A/2025-11-19", DaySigned(trading_day=date(2025, 11, 19), breaks=(agreed,), statement=HOSTILE), 11)


COMMANDS = {
    "append": ("append", "mark/-/x", "Marked", json.dumps({"name": HOSTILE}), "--note", HOSTILE, "--actor", HOSTILE),
    "append of an unknown type": ("append", "mark/-/x", HOSTILE, "{}"),
    "append of an unknown member": ("append", "mark/-/x", "Marked", json.dumps({HOSTILE: 1})),
    "append to a bad stream": ("append", HOSTILE, "Marked", '{"name": "x"}'),
    "append at a bad time": ("append", "mark/-/x", "Marked", '{"name": "x"}', "--occurred-at", HOSTILE),
    "read": ("read",),
    "read of an unknown type": ("read", "--type", HOSTILE),
    "read of a bad account": ("read", "--account", HOSTILE),
    "read of a bad stream": ("read", "--stream", HOSTILE),
    "read from a bad instant": ("read", "--start", HOSTILE),
    "tail": ("tail", "-n", "99"),
    "state": ("state", "--account", "A"),
    "state at": ("state", "--at", "2025-11-19 15:30"),
    "state of a bad account": ("state", "--account", HOSTILE),
    "state in a bad zone": ("state", "--zone", HOSTILE),
    "as-of": ("as-of", "11"),
    "as-of a bad mark": ("as-of", HOSTILE),
    "as-of a mark": ("as-of", ENTITY),
    "diff": ("diff", "1", "11"),
    "timeline": ("timeline",),
    "timeline as JSON": ("timeline", "--json"),
    "timeline of a bad account": ("timeline", "--account", HOSTILE),
    "timeline by a bad actor": ("timeline", "--by", HOSTILE),
    "timeline from a bad instant": ("timeline", "--start", HOSTILE),
    "changes": ("changes",),
    "changes until a bad instant": ("changes", "--stop", HOSTILE),
    "why": ("why", "7"),
    "why of a lockout": ("why", "--account", "A"),
    "why of an order": ("why", f"order/A/{ENTITY}"),
    "why of a bad subject": ("why", HOSTILE, "--account", "A"),
    "dispute": (
        *("dispute", "A", "2025-11-19", "--out", "pack.zip", "--keys", "nowhere"),
        *("--statement", "statement.csv", "--format", "fills"),
    ),
    "dispute of a bad account": ("dispute", HOSTILE, "2025-11-19", "--out", "pack.zip", "--keys", "nowhere"),
    "dispute of a bad day": ("dispute", "A", HOSTILE, "--out", "pack.zip", "--keys", "nowhere"),
    "dispute with a bad place": ("dispute", "A", "2025-11-19", "--out", HOSTILE, "--keys", "nowhere"),
    "dispute with a bad statement": ("dispute", "A", "2025-11-19", "--out", "pack.zip", "--statement", HOSTILE),
    "diff of every view": ("diff", "1", "11", "--view", "all"),
    "diff of a bad view": ("diff", "1", "11", "--view", HOSTILE),
    "lifeline": ("lifeline", "A", ENTITY),
    "lifeline of another": ("lifeline", "A", "O-2"),
    "lifeline of a bad order": ("lifeline", "A", HOSTILE),
    "pnl": ("pnl", "--account", "ACC1", "--days"),
    "mark": ("mark", ENTITY + "2"),
    "mark of a bad name": ("mark", HOSTILE),
    "lock": ("lock", "A", "--symbol", HOSTILE, "--rule", ENTITY + "3", "--reason", HOSTILE),
    "lock until a bad time": ("lock", "A", "--until", HOSTILE),
    "lock for a bad time": ("lock", "A", "--for", HOSTILE),
    "lock of a bad account": ("lock", HOSTILE),
    "approve": ("approve",),
    "approve a bad record": ("approve", HOSTILE),
    "approve by anybody": ("approve", "9", "--actor", HOSTILE),
    "clock by a bad source": ("clock", "--offset", "1", "--source", HOSTILE),
    "clock by a bad offset": ("clock", "--offset", HOSTILE, "--source", "GPS"),
    "unlock": ("unlock", "A", "--rule", HOSTILE),
    "stop": ("stop", "A", "--reason", HOSTILE, "--actor", "me"),
    "stop of a bad account": ("stop", HOSTILE, "--reason", "x"),
    "resume": ("resume", "A", "--actor", HOSTILE, "--reason", HOSTILE),
    "resume of a bad account": ("resume", HOSTILE, "--actor", "me", "--reason", "x"),
    "enforce": ("enforce", "json:dumps", "--once"),
    "enforce by a bad function": ("enforce", HOSTILE),
    "enforce by a function that is not there": ("enforce", f"json:{HOSTILE}"),
    "limits": ("limits",),
    "limits from a bad file": ("limits", "--seed", HOSTILE),
    "limits by a bad program": ("limits", "--account", "A", "--program", HOSTILE),
    "limits in shadow mode": ("limits", "shadow", "A", "--reason", HOSTILE, "--actor", "me"),
    "limits armed for a bad account": ("limits", "arm", HOSTILE, "--reason", "x"),
    "reconcile": ("reconcile", "--account", "A"),
    "reconcile of a bad account": ("reconcile", "--account", HOSTILE),
    "statement of a bad file": ("statement", HOSTILE),
    "statement of a bad account": ("statement", "statement.csv", "--format", "fills", "--account", HOSTILE),
    "statement": ("statement", "statement.csv", "--format", "fills", "--account", "A"),
    "statement that is signed": (
        *("statement", "statement.csv", "--format", "fills", "--account", "A", "--sign", "--yes"),
        *("--actor", HOSTILE, "--note", HOSTILE),
    ),
    "signed": ("signed",),
    "signed days of a bad account": ("signed", "--account", HOSTILE),
    "migrate of a bad file": ("migrate", HOSTILE),
    "migrate-journal to a bad place": ("migrate-journal", "postgresql://127.0.0.1:9/db", HOSTILE),
    "migrate-journal from a bad URL": ("migrate-journal", f"postgresql://{HOSTILE}", "copy"),
    "migrate-journal to a bad URL": ("migrate-journal", "data", f"postgresql://127.0.0.1:9/{HOSTILE}"),
    "rotate": ("rotate", "--as", HOSTILE),
    "shadow": ("shadow", "A"),
    "shadow of a bad account": ("shadow", HOSTILE),
    "try of a bad file": ("try", "--format", "fills", HOSTILE, "--program", "topstep-combine-50k"),
    "try by a bad program": ("try", "--format", "fills", "x.csv", "--program", HOSTILE),
    "alerts": ("alerts", "--once"),
    "policies by a bad function": ("policies", HOSTILE),
    "work in a bad group": ("work", "--group", HOSTILE),
    "work by a bad function": ("work", HOSTILE, "--group", "desk"),
    "group of a bad name": ("group", HOSTILE),
    "group without a bad member": ("group", "desk", "--evict", HOSTILE),
    "note": ("note", "A", "order/A/O-2", HOSTILE, "--tag", "x"),
    "note on a bad target": ("note", "A", HOSTILE, "text"),
    "note with a bad tag": ("note", "A", "11", "text", "--tag", HOSTILE),
    "note of a bad account": ("note", HOSTILE, "11", "text"),
    "archive": ("archive", "archived", "--until", "11"),
    "archive check of a bad folder": ("archive", HOSTILE, "--check"),
    "export": ("export", "--csv", "exported"),
    "export to a bad place": ("export", "--sql", HOSTILE),
    "export of a bundle": ("export", "--bundle", "bundle.zip", "--keys", "nowhere"),
    "export of a bundle to a bad place": ("export", "--bundle", HOSTILE, "--keys", "nowhere"),
    "verify": ("verify",),
    "verify by a bad checkpoint": ("verify", "--checkpoint", HOSTILE),
    "prove": ("prove", "11"),
    "prove growth": ("prove", "--from", "5"),
    "prove check of a bad file": ("prove", "--check", HOSTILE, "--key", HOSTILE),
    "backup": ("backup", HOSTILE),
    "checkpoint without a key": ("checkpoint", "--keys", "nowhere"),
    "checkpoint by a bad witness": ("checkpoint", "--keys", "nowhere", "--witness", HOSTILE),
    "checkpoint every bad duration": ("checkpoint", "--every", HOSTILE),
    "checkpoints": ("checkpoint", "--list"),
    "keys": ("keys", "--keys", "nowhere"),
    "keys of a bad action": ("keys", HOSTILE),
    "keys of a bad name": ("keys", "new", "--keys", "somewhere", "--name", HOSTILE),
    "keys of a bad id": ("keys", "retire", HOSTILE, "--keys", "nowhere"),
    "api keys": ("api-keys",),
    "an api key of a bad name": ("api-keys", "add", HOSTILE, "--scope", "read"),
    "an api key of a bad scope": ("api-keys", "add", "ana", "--scope", HOSTILE),
    "an api key of a bad account": ("api-keys", "add", "ana", "--scope", "read", "--account", HOSTILE),
    "an api key that is not there": ("api-keys", "revoke", HOSTILE),
    "a service of a bad name": ("serve", "--cors-origin", HOSTILE),
    "sql": ("sql", "select * from events"),
    "sql that fails": ("sql", f'select * from "{HOSTILE}"'),  # noqa: S608 - the test's own
    "sql that is malformed": ("sql", HOSTILE),
    "stats": ("stats",),
    "doctor": ("doctor",),
    "import of a bad file": ("import", "--format", "fills", HOSTILE),
    "import of a bad format": ("import", "--format", HOSTILE, "x"),
    "import with a bad map": ("import", "--format", "fills", "x.csv", "--map", HOSTILE),
    "mirror": ("mirror", "--once"),
    "adopt": ("adopt",),
    "restore": ("restore", "--from-influx"),
    "bench": ("bench", "--only", HOSTILE),
    "another log": ("read", "--log", HOSTILE),
    "an unknown option": ("read", f"--{HOSTILE}"),
    "an unknown command": (HOSTILE,),
}
WITHOUT_DATA = {
    "an unknown command",
    "bench",
    "migrate-journal from a bad URL",
    "migrate-journal to a bad URL",
    "migrate-journal to a bad place",
    "try by a bad program",
    "try of a bad file",
}
NOT_ASKED = {"demo", "demo-day", "demo-feed"}
"""They show their own day."""


def forbidden(text: str) -> list[str]:
    allowed = "\n\t"  # the ends of lines and of fields: within text they are escaped
    return [sign for sign in text if sign not in allowed and _is_forbidden(sign)]


def _is_forbidden(sign: str) -> bool:
    return unicodedata.category(sign) in FORBIDDEN or sign in INVISIBLE


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hostile") / "data"
    hostile_log(directory)
    return directory


@pytest.fixture
def hostile(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {"URL": "http://127.0.0.1:9", "ORG": "o", "BUCKET": "b", "TOKEN": "t"}.items():
        monkeypatch.setenv(f"EVENTSTORE_INFLUX_{name}", value)
    monkeypatch.setenv("EVENTSTORE_INFLUX_PATIENCE_SECONDS", "0.01")
    monkeypatch.chdir(tmp_path)
    row = '2025-11-19T15:00:03Z,"' + HOSTILE.replace("\n", " ") + '",buy,1,6,0,"' + HOSTILE.replace("\n", " ") + '"'
    (tmp_path / "statement.csv").write_text(f"time,symbol,side,quantity,price,fee,trade_id\n{row}\n", "utf-8")
    return Path(shutil.copytree(original, tmp_path / "data"))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_prints_what_steers_a_terminal(run: Run, hostile: Path, name: str) -> None:
    data = () if name in WITHOUT_DATA else ("--data", hostile)
    for as_json in ((), ("--json",)):
        ended = run(*COMMANDS[name], *data, *as_json)
        assert ended.code in {0, 1, 2}
        assert forbidden(ended.out) == []
        assert forbidden(ended.err) == []
        if as_json and ended.code == 0:
            assert all(json.loads(line) for line in ended.out.splitlines())


def test_each_command_is_tried() -> None:
    named = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert named - NOT_ASKED == {arguments[0] for arguments in COMMANDS.values()} - {HOSTILE}


def test_what_is_shown_of_it_is_all_there(run: Run, hostile: Path) -> None:
    output = run("state", "--account", "A", "--data", hostile).out
    shown = "".join(output.split())
    assert r"[red]\x1b]0;x\x07\x9b31m\x85\x7f\u202e\u2066\u200b\u200f\u061c\u2028\r\n\tend[/red]" in shown
    orders = run("state", "--account", "A", "--data", hostile, "--json").document["orders"]
    assert {order["symbol"] for order in orders} == {HOSTILE}


def test_a_file_s_name_that_is_not_text_is_printed_as_escapes(run: Run, hostile: Path) -> None:
    target = os.fsdecode(os.fsencode(hostile.parent) + b"/copy-\xff\x1b[2J")
    for arguments in (("backup", target), ("backup", target, "--json"), ("state", "--account", "\udcff")):
        ended = run(*arguments, "--data", hostile)
        assert forbidden(ended.out + ended.err) == []
        assert ended.out + ended.err
        shutil.rmtree(target, ignore_errors=True)


@pytest.mark.parametrize("arguments", [("tail",), ("state", "--account", "A"), ("tail", "--exact")], ids=" ".join)
def test_on_a_terminal_there_are_only_its_own_styles(hostile: Path, arguments: tuple[str, ...]) -> None:
    output = on_terminal([*arguments, "--data", str(hostile)], 60).out
    # Bold titles and the bar that comes and goes; what the text of others would do begins in other ways.
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output))
    assert [forbidden(line) for line in lines if forbidden(line)] == []
    assert max(map(width, lines)) <= 60


def test_the_data_column_is_json_whatever_it_holds(run: Run, tmp_path: Path) -> None:
    hostile = HOSTILE + INVISIBLE + "\U000e0020"
    with eventstore.open(tmp_path / "data") as store:
        store.append("mark/-/x", Marked(name=hostile))
    for command in ("read", "tail"):
        line = run(command, "--data", tmp_path / "data").out
        assert json.loads(line.rstrip("\n").split("\t")[6]) == {"name": hostile}
        assert r"\u009b31m\u0085\u007f\u202e" in line
        assert not {unicodedata.category(sign) for sign in line.replace("\t", "").rstrip("\n")} & FORBIDDEN
