"""JSON documents of monitors: a whole file is one document."""
