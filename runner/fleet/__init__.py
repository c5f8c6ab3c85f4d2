"""The queue, the lanes and their workers, and what is looked at before they start."""
