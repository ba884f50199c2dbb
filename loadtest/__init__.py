"""The world around the model: clocks, sockets, processes, clusters."""
