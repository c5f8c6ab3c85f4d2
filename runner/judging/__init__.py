"""From scores to what they say of each target: the step between the audit and the results."""
