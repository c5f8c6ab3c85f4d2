"""Every path, every write, and the Parquet files between stages."""
