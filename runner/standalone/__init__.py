"""What needs no experiment: what noise gives, whether DP-SGD keeps its word, and demonstrations."""
