"""A store that refuses, stalls and breaks off as Elasticsearch does, and counts how often each document was sent."""
