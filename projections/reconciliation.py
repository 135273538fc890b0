"""What a broker says against what the fills say: differences by kind, with the records behind them."""
