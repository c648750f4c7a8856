"""Worked examples of what CNN lectures draw: convolution, pooling, formulas, filters and maps."""
