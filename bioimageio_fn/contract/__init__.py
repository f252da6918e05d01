"""What a model takes and gives, free of format versions."""
