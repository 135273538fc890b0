"""What executions add up to: positions, trades, round trips, counters, and profit and loss.

A position is folded in three steps: `position_totals` is its arithmetic, `position_state` what is kept of an account,
`position_transitions` what each event makes of it. `ledger` sums by trading day, `pnl_path` in the order of events, and
`pnl_totals` converts points to money.
"""
