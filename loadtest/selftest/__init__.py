"""What this machine can do as a load generator: a recording stub, a bare timer loop, and replays between the two."""
