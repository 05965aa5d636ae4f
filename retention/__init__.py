"""How long logs are kept: policies and plans (pure), the archive, restoring."""
