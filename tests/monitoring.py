"""Prometheus, Alertmanager and their tools for the tests; what cannot be had is a line in the summary, or a failure."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any, TypeVar

from dashboards.generate import FOLDER
from deploy.fetch import MissingTool
from deploy.monitoring import tool
from deploy.servers import Server
from tests.servers.shared import unavailable

S = TypeVar("S", bound=Server)
PAGERDUTY_KEY = "0123456789abcdef0123456789abcdef"


def program(name: str) -> Path:
    """The program; skips the test, or fails it where everything must be tested, when it cannot be had."""
    try:
        return tool(name)
    except MissingTool as error:
        unavailable(name, str(error))
        raise


class StandIn:
    """Takes what would go to Slack (`/slack`), to PagerDuty's Events API v2 (`/v2/enqueue`) and to a dead man's switch
    (`/watchdog`), and keeps it.
    """

    def __init__(self) -> None:
        self.slack: list[dict[str, Any]] = []
        self.pagerduty: list[dict[str, Any]] = []
        self.watchdog: list[dict[str, Any]] = []
        kept = {"/slack": self.slack, "/v2/enqueue": self.pagerduty, "/watchdog": self.watchdog}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                kept[self.path].append(body)
                slack = self.path == "/slack"
                answer = b"ok" if slack else json.dumps({"status": "success", "dedup_key": "k"}).encode()
                self.send_response(200 if slack else 202)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="stand-in")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def alertmanager_config(folder: Path, stand_in_url: str) -> str:
    """Our configuration as it is, but with the secrets and templates of this folder, the stand-in for PagerDuty, and
    seconds where it has minutes.
    """
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "slack_url").write_text(f"{stand_in_url}/slack")
    (secrets / "pagerduty_key").write_text(PAGERDUTY_KEY)
    text = (FOLDER / "alertmanager" / "alertmanager.yml").read_text()
    for ours, theirs in {
        "/etc/alertmanager/secrets": str(secrets),
        "/etc/alertmanager/templates": str(FOLDER / "alertmanager" / "templates"),
        "resolve_timeout: 5m": f"resolve_timeout: 5m\n  pagerduty_url: {stand_in_url}/v2/enqueue",
        "group_wait: 30s": "group_wait: 2s",
        "group_interval: 5m": "group_interval: 2s",
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    return text


def start(server: S) -> S:
    """The server, running; skips the test, or fails it where everything must be tested, when it cannot be had."""
    try:
        server.start()
    except (MissingTool, OSError) as error:
        unavailable(server.name, str(error))
    return server
