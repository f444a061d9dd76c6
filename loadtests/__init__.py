"""What the service carries: Locust scenarios whose every answer is checked, and the report that they make."""
