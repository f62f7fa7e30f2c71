"""The engine: what an op is, the graph, the Tensor, and the table of ops, to be read in this order.

`primitive`, `graph`, `tensor`, `ops`.
"""
