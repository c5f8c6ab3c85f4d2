"""Hours, cost and disk of an experiment before anything starts."""
