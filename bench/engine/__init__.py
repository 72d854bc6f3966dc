"""The engine alone: datastore types in, deltas out; time, peak memory, updates a second."""
