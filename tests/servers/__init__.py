"""The real servers that tests share, started once a session on free ports of this machine."""
