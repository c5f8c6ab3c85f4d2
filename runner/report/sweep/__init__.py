"""The report of a sweep: its tables, its figures, its page, and its end on the terminal."""
