"""Which code and which files decide a result, beyond what the versions stand for."""
