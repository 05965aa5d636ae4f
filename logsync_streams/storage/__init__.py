"""Where logs are kept and searched: protocols in `api`, one module a store."""
