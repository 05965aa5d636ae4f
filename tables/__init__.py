"""Memory across events, nouns: windows of error rates, the inventory of services."""
