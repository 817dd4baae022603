"""Give every node a name of its own: passes that move a node leave another under its name."""

from __future__ import annotations

from dataclasses import replace

from mcugen.graph import Graph


def name_nodes_apart(graph: Graph) -> Graph:
    """Two nodes `a` -> `a` and `a_1`; names that are already different stay."""
    graph = graph.copy()
    taken: set[str] = set()
    names = {node.name for node in graph.nodes}
    for index, node in enumerate(graph.nodes):
        name, number = node.name, 0
        while name in taken or (number and name in names):
            number += 1
            name = f"{node.name}_{number}"
        taken.add(name)
        if name != node.name:
            graph.nodes[index] = replace(node, name=name)
    return graph
