"""Plan: the member matrix, the Runs, and an experiment made ready."""
