"""The TLS of the doors, from the settings."""

from __future__ import annotations

import ssl

from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import CollectorSettings


def context(settings: CollectorSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the certificate of the settings; None when they name none.

    With a client CA, senders must show a certificate of it. Raises ConfigurationError naming the file, or the door that
    needs one.
    """
    if settings.tls_certificate_file is None:
        if settings.forward_tls:
            raise ConfigurationError(["LOGSYNC_COLLECTOR__FORWARD_TLS: needs LOGSYNC_COLLECTOR__TLS_CERTIFICATE_FILE"])
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise _wrong("TLS_CERTIFICATE_FILE", settings.tls_certificate_file, error) from error
    if settings.tls_client_ca_file is not None:
        try:
            made.load_verify_locations(settings.tls_client_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise _wrong("TLS_CLIENT_CA_FILE", settings.tls_client_ca_file, error) from error
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def _wrong(setting: str, path: object, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        [f"LOGSYNC_COLLECTOR__{setting}: {str(path)!r}: {error}; PEM with a certificate (and its key) is expected"]
    )
