"""From the integer graph to the planned program: order, kernel choice, memory."""
