"""The shipped experiments. `runner run NAME` finds them from any folder."""
