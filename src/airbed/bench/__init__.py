"""What a bed costs on this machine, against what people would use otherwise: seconds, CPU, memory, ratios."""
