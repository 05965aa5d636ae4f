"""Grafana, Kibana, Prometheus and Alertmanager files, and what generates or checks them."""
