"""The commands, as the command line calls them: their options, and what they say."""
