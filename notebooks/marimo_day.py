"""A day in marimo: an account's equity up to an hour that a slider chooses.

pip install marimo
marimo edit notebooks/marimo_day.py
"""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import pandas as pd

    from gateways.demo.history import demo_day
    from projections import analysis

    demo = demo_day("notebooks/demo")
    prices = pd.read_csv(demo.prices, parse_dates=["at"])
    return analysis, demo, mo, pd, prices


@app.cell
def _(mo):
    hour = mo.ui.slider(9, 15, value=13, label="until, Chicago time")
    account = mo.ui.dropdown(["ACC1", "ACC2", "ACC3"], value="ACC2", label="account")
    mo.hstack([account, hour], justify="start")
    return account, hour


@app.cell
def _(hour, pd, prices):
    stop = pd.Timestamp(f"2025-11-19 {hour.value:02}:00", tz="America/Chicago")
    options = {"prices": prices, "stale_after": pd.Timedelta("1min"), "stop": stop}
    return options, stop


@app.cell
def _(account, analysis, demo, options):
    analysis.plot.equity(demo.data, account.value, **options)


@app.cell
def _(account, analysis, demo, stop):
    analysis.round_trips(demo.data, account=account.value, stop=stop).to_pandas().tail(10)


if __name__ == "__main__":
    app.run()
