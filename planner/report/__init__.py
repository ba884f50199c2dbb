"""The capacity report: one self-contained HTML page about one run. Rendered from documents and logs; reads no file."""
