"""Plan, train, ask, audit, report: one experiment of many defended models on Ray."""
