"""One driver at a time: what it tells, how it goes on and leaves, and how things stand."""
