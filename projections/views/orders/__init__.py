"""The orders view: the state of each order, and its queries.

`order` is the value, `statuses` FIX's precedence of order states, `transitions` and `fills` what each event makes of an
order, `state` what is kept of an account, `view` the fold and the queries.
"""
