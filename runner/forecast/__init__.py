"""Before anything starts: hours, cost and disk of an experiment, and each arm tried in small."""
