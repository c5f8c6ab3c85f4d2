"""One YAML, validated: its blocks, and what does not fit together."""
