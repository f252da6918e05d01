"""Planning blocks, cutting a sample into them, and putting the results together again."""
