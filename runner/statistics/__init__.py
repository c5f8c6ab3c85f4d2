"""ROC curves, intervals over models and examples, resamples."""
