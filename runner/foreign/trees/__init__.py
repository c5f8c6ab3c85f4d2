"""Trees that other tools left, read as they lie: recognised by facts, never by a tool's name."""
