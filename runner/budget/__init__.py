"""What noise gives, and whether DP-SGD keeps its word: commands without an experiment."""
