"""The certificate that a listener of mosquitto shows, beside the one that is there for it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hub.registry.brokers.mosquitto_files import TlsListener

SHOWN_SECONDS = 5.0


async def shows_another(listener: TlsListener) -> bool:
    """Return whether it shows another certificate than its file holds; False while it shows none, or no key fits.

    mosquitto 2.0.11 that reads a pair which does not fit shows none from then on, so it must not be told of one.
    """
    there = await asyncio.to_thread(_there, listener)
    return there is not None and await _shown(listener) not in {None, there}


def _there(listener: TlsListener) -> bytes | None:
    with suppress(OSError, ValueError):
        # A password is named so that nobody is asked for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(listener.cert_file, listener.key_file, password="")
        return x509.load_pem_x509_certificate(listener.cert_file.read_bytes()).public_bytes(Encoding.DER)
    return None


async def _shown(listener: TlsListener) -> bytes | None:
    looking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    looking.check_hostname, looking.verify_mode = False, ssl.CERT_NONE  # it is compared, and told nothing
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(SHOWN_SECONDS):
            _, writer = await asyncio.open_connection(listener.host, listener.port, ssl=looking)
        try:
            found: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return found
        finally:
            writer.transport.abort()
    return None
