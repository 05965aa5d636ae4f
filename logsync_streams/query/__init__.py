"""The reading side: the query language, the HTTP API and the page over an `EventReader`."""
