"""The report of a plan: one self-contained HTML page, and the words that it shares with the terminal."""
