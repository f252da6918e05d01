"""Room of testing models: do they give what they promise, and if not, why."""
