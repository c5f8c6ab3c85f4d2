"""The audit of models trained elsewhere, from their answers and who was trained on what."""
