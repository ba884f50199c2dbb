"""What a file or a folder is, by what it holds, and what to say where something else was asked for."""
