"""Where a pod comes to lie: nodes with room, new nodes, nodes that refuse it or are lost."""
