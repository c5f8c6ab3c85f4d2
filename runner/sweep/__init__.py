"""Search the settings of one arm: `stage` has the order, and the others need no Ray but `search`,
`searchers` and `trial`."""
