"""The lockouts view: what each account may not do, and what ended that.

`lockout` is the value, `transitions` what each event makes of an account's lockouts, `view` the fold and the queries.
"""
