"""How values become text, JSON and table rows, for every interface."""
