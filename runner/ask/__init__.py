"""Ask: a trained model's answers to the same questions, also under attack."""
