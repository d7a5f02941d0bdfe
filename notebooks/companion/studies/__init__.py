"""Studies beyond the paper: other readings, other attacks, psychometrics, how tables came about."""
