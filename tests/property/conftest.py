"""Hypothesis without a deadline: how long an example takes says nothing on a machine that others use, too."""

from hypothesis import HealthCheck, settings

settings.register_profile("logsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("logsync")
