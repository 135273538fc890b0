"""How values become text, JSON and rows: one home for every interface."""
