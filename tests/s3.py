"""A real S3 server of the test's own (moto), with a bucket; and servers that go wrong."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from moto.server import ThreadedMotoServer

BUCKET = "acme-backups"
PREFIX = "licenses/backups"
SETTINGS = {"backup_s3_access_key_id": "AKIDTEST", "backup_s3_secret_access_key": "a-secret-of-the-bucket"}


@dataclass(frozen=True, slots=True)
class LiveS3:
    """A bucket, empty in the beginning, and the settings that lead to it."""

    endpoint: str
    client: Any

    @property
    def settings(self) -> dict[str, str]:
        """What a server needs to use the bucket, by the names of fields."""
        return {"backup_s3_url": f"s3://{BUCKET}/{PREFIX}", "backup_s3_endpoint": self.endpoint, **SETTINGS}

    @property
    def environment(self) -> dict[str, str]:
        """The same, as a process gets it."""
        return {name.upper(): value for name, value in self.settings.items()}

    def names(self) -> list[str]:
        """What lies in the folder of the bucket."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/").get("Contents", [])
        return [one["Key"].removeprefix(f"{PREFIX}/") for one in found]

    def read(self, name: str) -> bytes:
        """The content of an object."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}")["Body"].read()
        return content

    def write(self, name: str, content: bytes) -> None:
        """Put an object there, past the server."""
        self.client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}", Body=content)

    def remove(self, name: str) -> None:
        """Delete an object, past the server."""
        self.client.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}")

    def uploads(self) -> list[Any]:
        """The uploads that have begun and not ended."""
        found: list[Any] = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return found


@contextmanager
def live_s3() -> Iterator[LiveS3]:
    """The server between its start and its stop."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()  # what it keeps is kept for the whole process
        client.create_bucket(Bucket=BUCKET)
        yield LiveS3(endpoint, client)
        client.close()
    finally:
        server.stop()


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that accepts and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def refusing_server(status: int, code: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The address of a server that answers everything so, and the headers that it was asked with."""
    asked: list[dict[str, str]] = []

    class Refusal(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers.get("content-length", 0)))
            body = f"<Error><Code>{code}</Code><Message>AKIDTEST may not</Message></Error>".encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the names are the library's

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
