"""Audit: every pass over answers and scores."""
