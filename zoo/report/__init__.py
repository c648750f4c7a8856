"""`zoo report`: what was learned, on one page that holds everything it shows."""
