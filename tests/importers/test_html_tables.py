"""HTML reports: titled tables as MetaTrader writes them, hidden cells, sums, and HTML that is broken or hostile."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from eventstore import InvalidEvent
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import BadRow
from gateways.importers.containers import Read, Table, container_of, html_rows, open_tables
from gateways.importers.containers.table import RefusedRow

# Laid out as MetaTrader 4 does it: one table, the comment of a trade in a row below it, cash in a wide cell.
STATEMENT = """<!DOCTYPE HTML><html><head><title>Statement</title><style>td { mso: "<tr>" }</style></head><body>
<table cellspacing=1 border=0>
<tr align=left><td colspan=4><b>Account: 1001</b></td><td colspan=5><b>Currency: USD</b></td>
 <td colspan=5 align=right><b>2026 March 3, 12:00</b></td></tr>
<tr align=left><td colspan=13><b>Closed Transactions:</b></td></tr>
<tr align=center bgcolor="#C0C0C0"><td>Ticket</td><td nowrap>Open Time</td><td>Type</td><td>Size</td><td>Item</td>
 <td>Price</td><td>S / L</td><td>T / P</td><td>Close Time</td><td>Price</td><td>Commission</td><td>Taxes</td>
 <td>Swap</td><td>Profit</td></tr>
<tr align=right><td title="balance">1</td><td>2026.03.01 00:00:00</td><td>balance</td><td colspan=10>Deposit</td>
 <td class=mspt>5 000.00</td></tr>
<tr align=right><td title="#7">7</td><td class=msdate nowrap>2026.03.02 09:35:00</td><td>buy</td><td>1.00</td>
 <td>gbpjpy</td><td>190.500</td><td>0.000</td><td>0.000</td><td>2026.03.02 10:35:00</td><td>191.000</td>
 <td>-5.00</td><td>0.00</td><td>-0.30</td><td class=mspt>1&nbsp;434.86</td></tr>
<tr align=right><td colspan=9>&nbsp;</td><td colspan=5>by &lt;hand&gt; &amp; eye</td></tr>
<tr align=right><td colspan=10>&nbsp;</td><td>-5.00</td><td>0.00</td><td>-0.30</td><td>1 434.86</td></tr>
<tr align=right><td colspan=12><b>Closed P/L:</b></td><td colspan=2><b>1 429.56</b></td></tr>
<tr align=left><td colspan=14><b>Open Trades:</b></td></tr>
<tr align=center><td>Ticket</td><td>Type</td><td>Price</td></tr>
<tr align=right><td colspan=13 align=center>No transactions</td></tr>
<tr align=left><td colspan=14><b>Summary:</b></td></tr>
<tr align=right><td colspan=2><b>Deposit/Withdrawal:</b></td><td colspan=2><b>0.00</b></td></tr>
</table></body></html>
"""
# As MetaTrader 5 does it: headings as titles, and a hidden cell that the header lacks.
HISTORY = """<html><head><script>document.write("<table><tr><td>x</td></tr></table>")</script></head><body>
<table><tr><th colspan="3">Name:</th><th colspan="5"><b>A. Trader</b></th></tr>
<tr><th colspan="8"><div><b>Deals</b></div></th></tr>
<tr><td><b>Time</b></td><td><b>Deal</b></td><td><b>Type</b></td><td><b>Volume</b></td><td><b>Price</b></td>
 <td><b>Commission</b></td><td><b>Profit</b></td><td colspan="2"><b>Comment</b></td></tr>
<tr><td>2026.03.02 09:35:00</td><td>11</td><td>buy</td><td class="a hidden" colspan="8">x</td><td>0.5</td>
 <td>1.1000</td><td>-2.50</td><td>0.00</td><td colspan="2"></td></tr>
<tr><td>2026.03.02 10:35:00</td><td>12</td><td>sell</td><td style="display: none">x</td><td hidden>x</td><td>0.5</td>
 <td>1.1005</td><td>-2.50</td><td>- 70.25</td><td colspan="2">tp<br>hit</td></tr>
<tr><td colspan="5" style="height: 30px"></td><td><b>-5.00</b></td><td><b>-70.25</b></td><td colspan="2"></td></tr>
<tr><td colspan="9" style="height: 10px"></td></tr>
<tr><td colspan="3">Balance:</td><td colspan="2"><b>4 924.75</b></td><td>Equity:</td><td><b>4 924.75</b></td></tr>
<tr><th colspan="9"><div><b>Results</b></div></th></tr>
<tr><td colspan="3">Total Net Profit:</td><td><b>-75.25</b></td></tr>
</table></body></html>
"""
PLAIN = "<table><tr><th>Id<th>Price<th>Price<tr><td>1<td>2<td>3<tr><td>4<td>5<td>6</table>"


def file_of(tmp_path: Path, content: str | bytes, name: str = "report.htm") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(path: Path, read: Read | None = None) -> list[Table]:
    return list(open_tables(path, read or Read(), bytes_max=BYTES_MAX))


def rows_in(table: Table) -> list[tuple[int, list[str]]]:
    return [(row.line, [row.optional(column) or "" for column in table.columns]) for row in table.rows()]


def cells_in(table: Table) -> list[list[str]]:
    return [cells for _, cells in rows_in(table)]


def refused_rows(table: Table) -> list[tuple[int, str]]:
    return [(row.line, row.why) for row in table.rows() if isinstance(row, RefusedRow)]


def test_a_titled_table_of_a_statement(tmp_path: Path) -> None:
    path = file_of(tmp_path, STATEMENT)
    for section in ("Closed Transactions:", "closed transactions"):
        (table,) = opened(path, Read(section=section))
        assert (container_of(path), table.name) == ("html-table", "Closed Transactions:")
        first = ["Ticket", "Open Time", "Type", "Size", "Item", "Price", "S / L", "T / P", "Close Time", "Price (2)"]
        assert list(table.columns) == [*first, "Commission", "Taxes", "Swap", "Profit"]
        balance, trade, comment, sums, total = rows_in(table)
        assert balance == (9, ["1", "2026.03.01 00:00:00", "balance", "Deposit", *[""] * 9, "5 000.00"])
        assert trade == (
            11,
            [
                *("7", "2026.03.02 09:35:00", "buy", "1.00", "gbpjpy", "190.500", "0.000", "0.000"),
                *("2026.03.02 10:35:00", "191.000", "-5.00", "0.00", "-0.30", "1 434.86"),
            ],
        )
        assert comment[1] == [*[""] * 9, "by <hand> & eye", *[""] * 4]
        assert (sums[1][:10], sums[1][10:]) == ([""] * 10, ["-5.00", "0.00", "-0.30", "1 434.86"])
        assert total[1] == ["Closed P/L:", *[""] * 11, "1 429.56", ""]
    titles = [table.name for table in opened(path)]
    assert titles == ["", "Closed Transactions:", "Open Trades:"]
    assert cells_in(opened(path)[2]) == [["No transactions", "", ""]]


def test_a_history_with_hidden_cells_sums_and_results(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-16"):
        (table,) = opened(file_of(tmp_path, HISTORY.encode(encoding)), Read(section="Deals"))
        assert list(table.columns) == ["Time", "Deal", "Type", "Volume", "Price", "Commission", "Profit", "Comment"]
        assert cells_in(table) == [
            ["2026.03.02 09:35:00", "11", "buy", "0.5", "1.1000", "-2.50", "0.00", ""],
            ["2026.03.02 10:35:00", "12", "sell", "0.5", "1.1005", "-2.50", "- 70.25", "tp hit"],
            ["", "", "", "", "", "-5.00", "-70.25", ""],
        ]


def test_a_title_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = file_of(tmp_path, STATEMENT)
    with pytest.raises(
        InvalidEvent, match=r"titled 'Deals', as read\.section says; titles: Closed Transactions:, Open"
    ):
        opened(path, Read(section="Deals"))
    with pytest.raises(InvalidEvent, match=r"report\.htm has no table with the columns Deal"):
        opened(path, Read(header=("Deal",)))
    with pytest.raises(InvalidEvent, match=r"report\.htm has no table$"):
        opened(file_of(tmp_path, "<html><p>Session expired</p></html>"))


def test_a_header_is_found_by_its_names(tmp_path: Path) -> None:
    (table,) = opened(file_of(tmp_path, HISTORY), Read(header=("Deal", "Volume")))
    assert (table.name, len(list(table.rows()))) == ("Deals", 3)
    (below,) = opened(file_of(tmp_path, PLAIN.replace("<tr><th>Id", "<tr><td>a<td>b\n<tr><th>Id")), Read(header=2))
    assert cells_in(below) == [["1", "2", "3"], ["4", "5", "6"]]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("<td>", "<TD class='x'>"),
        PLAIN.replace("<table>", ""),
        PLAIN.replace("</table>", ""),
        PLAIN.replace("<tr>", "</td></tr><!-- <tr><td>no</td></tr> --><tr>"),
        PLAIN.replace("<td>2", "<td><b>2</b><script>document.write('x')</script><style>td {}</style>"),
        PLAIN.replace("<td>2", "<td>&#50;"),
        PLAIN.replace("<tr><td>4", "<tr><td> <td> </tr><tr><td>4"),
        PLAIN.replace("<td>6", "<td>6<td><td>&nbsp;"),
        "<table><tr><td>" + PLAIN.replace("Id", "Id") + "</table>",
        PLAIN.replace("<table>", "<table><caption>Trades</caption>"),
        PLAIN.replace("<tr>", "<tbody><tr>").replace("<td>4", "<td>4</p></div></td></td>"),
        PLAIN.replace("<tr><td>4", "<tr><th>Id<th>Price<th>Price<tr><td>4"),
    ],
)
def test_the_same_rows_in_many_forms(tmp_path: Path, content: str) -> None:
    for chunk in (content, f"<html>{content}"):
        tables = opened(file_of(tmp_path, chunk), Read(container="html-table"))
        found = [table for table in tables if "Price (2)" in table.columns]
        assert [(list(table.columns), cells_in(table)) for table in found] == [
            (["Id", "Price", "Price (2)"], [["1", "2", "3"], ["4", "5", "6"]])
        ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        # The cell missing may be any of them.
        ("<tr><td>7<td>8", "the line has 2 cells, but the header has 3"),
        ("<tr><td>7<td>8<td>9<td>10", "the line has 4 cells, but the header has 3"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_the_others_are_not(tmp_path: Path, row: str, why: str) -> None:
    (table,) = opened(file_of(tmp_path, PLAIN.replace("<tr><td>4", f"\n{row}\n<tr><td>4")))
    assert refused_rows(table) == [(2, why)]
    assert [row.optional("Id") for row in table.rows() if not isinstance(row, RefusedRow)] == ["1", "4"]
    with pytest.raises(BadRow, match=r"report\.htm, line 2: the line has"):
        rows_in(table)


def test_rows_that_a_remark_cuts_off_are_not_lost_in_silence(tmp_path: Path) -> None:
    cut = STATEMENT.replace(
        '<tr align=right><td title="#7">', '<tr><td><b>Best trade!</b></td></tr><tr><td title="#7">'
    )
    with pytest.raises(InvalidEvent, match="line 11: looks like a row of the table whose header is in line 6"):
        opened(file_of(tmp_path, cut), Read(section="Closed Transactions:"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("<table>" * 40 + PLAIN, "tables stand in tables more than 16 deep"),
        ("<table><tr>" + "<td>x" * 4_001, "the row has more than 4,000 cells"),
        ("<table><tr>" + '<td colspan="3000">x' * 2, "the row has more than 4,000 cells"),
        ("<table><tr><td>" + "x<br>" * 9_000, "the row has more than 20,000 characters"),
        ("<table><tr><td>" + "x" * 100_000, "the row has more than 20,000 characters"),
        ("<table><tr><td " + "x" * 100_000, "a tag or text has no end"),
        ((PLAIN + "\n") * 1_002, "has more than 1,000 tables"),
        (PLAIN.encode() + b"\xe9", "line 1, is not text in UTF-8"),
    ],
)
def test_what_is_not_a_report_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | bytes, why: str
) -> None:
    monkeypatch.setattr(html_rows, "ROW_CHARACTERS_MAX", 20_000)
    monkeypatch.setattr(html_rows, "UNFINISHED_CHARACTERS_MAX", 40_000)
    with pytest.raises(InvalidEvent, match=why) as caught:
        opened(file_of(tmp_path, content), Read(container="html-table"))
    assert "report.htm" in str(caught.value)


def test_the_file_may_name_its_encoding(tmp_path: Path) -> None:
    content = '<html><head><META http-equiv="Content-Type" content="text/html; charset=windows-1251"></head>' + PLAIN
    path = file_of(tmp_path, content.replace("<td>2", "<td>Сделка").encode("cp1251"))
    assert cells_in(opened(path)[0])[0] == ["1", "Сделка", "3"]
    assert cells_in(opened(path, Read(encoding="latin-1"))[0])[0] == ["1", "Ñäåëêà", "3"]
    with pytest.raises(InvalidEvent, match=r"report\.htm cannot be read in the unknown encoding 'klingon'"):
        opened(file_of(tmp_path, content.replace("windows-1251", "klingon")))


def test_a_long_report_takes_no_memory(tmp_path: Path) -> None:
    path = file_of(tmp_path, PLAIN.replace("</table>", f"<tr><td>{'x' * 2_000}<td>1<td>2" * 1_000))
    tracemalloc.start()
    (table,) = opened(path)
    count = sum(1 for _ in table.rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 1_500_000) == (1_002, True), peak
