"""Tables: a row for each request, or for each bin of time."""
