"""The REST service: the rooms below it, over HTTP, with limits, keys and jobs."""
