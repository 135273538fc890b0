"""What executions add up to: positions, trades, round trips, counters, and profit and loss.

One view folds them (`view`, `state`). `reports` and `identity` tell what is a new execution, `amendments` what fees,
busts and corrections make of it (`unknown_trades`, `booking`), `adjustments` what else changes a position, `merging`
and `twins` what a contract's names do. `appending` adds what comes last, `settling` puts other items in their place in
the `window` since the position was last flat; `position_totals` is the arithmetic, in which `prices` says what a price
counts for, `trip` the round trips, `payoffs` what a position is worth. `ledger`
sums by trading day, `pnl_path` in the order of events, and `pnl_totals` converts points to money. `positions`,
`trades`, `round_trips`, `counters` and `pnl` answer questions about the state.
"""
