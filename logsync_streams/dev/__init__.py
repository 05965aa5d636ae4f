"""The whole system on one machine, to try it: embedded broker, sample traffic, and the supervisor over its parts."""
