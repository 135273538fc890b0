"""The contracts view: multipliers, currencies, and the names of each instrument."""
