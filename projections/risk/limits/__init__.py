"""The shipped limits: their parameters, figures, rules and sentences. `projections.rules` has their public names."""
