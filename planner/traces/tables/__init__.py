"""Tables as people have them: CSV in its dialects, Parquet, forms of numbers and of times, names of columns."""
