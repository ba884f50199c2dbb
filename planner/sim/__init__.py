"""The simulator: a compiled kernel, the engine that feeds it blocks of draws, and replications of it."""
