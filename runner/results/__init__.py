"""What results.json holds, a module a block."""
