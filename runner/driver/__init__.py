"""One driver at a time: what it tells, how it leaves, and how things stand."""
