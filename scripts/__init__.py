"""What make and CI call beside the tools: setting up, checks, and the reference pages."""
