"""Which Ray cluster, which of its nodes, and when their workers are done."""
