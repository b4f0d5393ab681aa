"""A hub on this machine: what huggingface_hub asks a server for, answered from a dict."""

import base64
import contextlib
import hashlib
import http.server
import json
import pathlib
import re
import threading
import urllib.parse
from collections.abc import Iterator

import pytest
from huggingface_hub import constants


class Repository:
    """Commits of one repository, each a dict of files, and the branches' newest ones."""

    def __init__(self, private=False):
        self.private = private
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.commit({})

    def commit(self, files, branch="main"):
        """Add a commit with those files, and no others; its name is returned."""
        name = hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()
        self.commits[name], self.branches[branch] = dict(files), name
        return name

    def named(self, revision):
        """A branch's or a commit's name as a commit's, or `None`."""
        revision = urllib.parse.unquote(revision)
        return self.branches.get(revision, revision if revision in self.commits else None)

    @property
    def files(self):
        """Files of the main branch."""
        return self.commits[self.branches["main"]]


class Hub:
    """Repositories by name, the token that may read private ones, and what was asked.

    Attributes:
        break_after: Bytes after which the next replies with files break off.
    """

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.token, self.url = "hf_secret", ""
        self.asked: list[tuple[str, str, str | None]] = []
        self.break_after: list[int] = []


def _handler(hub):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def reply(self, status, value=None, head=(), body=None):
            body = json.dumps(value).encode() if body is None else body
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            for name, text in dict(head).items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def refuse(self, code, status=404):
            self.reply(status, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})

        def do_GET(self):
            self.answer()

        def do_HEAD(self):
            self.answer()

        def do_POST(self):
            self.answer()

        def answer(self):
            path = urllib.parse.urlsplit(self.path).path.lstrip("/")
            hub.asked.append((self.command, path, self.headers.get("Range")))
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            if path == "api/repos/create":
                return self.create(json.loads(body))
            if path == "api/validate-yaml":
                return self.reply(200, {"errors": [], "warnings": []})
            found = re.fullmatch(
                r"(?:api/models/)?([^/]+/[^/]+)(?:/(resolve|revision|tree|preupload|commit|branch)"
                r"/([^/]+)(?:/(.*))?)?",
                path,
            )
            repository = hub.repositories.get(found[1]) if found else None
            allowed = self.headers.get("Authorization") == f"Bearer {hub.token}"
            if repository is None or (repository.private and not allowed):
                return self.refuse("RepoNotFound", 404 if allowed else 401)
            what = found[2] or "revision"
            return getattr(self, what)(repository, found[3] or "main", found[4], body)

        def create(self, asked):
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self.refuse("Unauthorized", 401)
            status = 409 if name in hub.repositories else 200
            hub.repositories.setdefault(name, Repository())
            return self.reply(status, {"url": f"http://{self.headers['Host']}/{name}"})

        def files(self, repository, revision):
            commit = repository.named(revision)
            if commit is None:
                self.refuse("RevisionNotFound")
                return None, None
            return commit, repository.commits[commit]

        def revision(self, repository, revision, path, body):
            commit, files = self.files(repository, revision)
            if commit:
                listed = [{"rfilename": name} for name in files]
                self.reply(200, {"id": "x", "_id": "x", "sha": commit, "siblings": listed})

        def tree(self, repository, revision, path, body):
            _, files = self.files(repository, revision)
            if files is not None:
                kind = {"type": "file"}
                self.reply(
                    200,
                    [{**kind, "path": p, "size": len(b), "oid": _oid(b)} for p, b in files.items()],
                )

        def branch(self, repository, branch, path, body):
            branch = urllib.parse.unquote(branch)
            status = 409 if branch in repository.branches else 200
            repository.branches.setdefault(branch, repository.branches["main"])
            self.reply(status, {})

        def preupload(self, repository, revision, path, body):
            asked = json.loads(body)["files"]
            mode = {"uploadMode": "regular", "shouldIgnore": False}
            self.reply(200, {"files": [{"path": file["path"], **mode} for file in asked]})

        def commit(self, repository, revision, path, body):
            _, files = self.files(repository, revision)
            files = dict(files)
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "deletedFile":
                    del files[value["path"]]
            name = repository.commit(files, urllib.parse.unquote(revision))
            url = f"http://{self.headers['Host']}/owner/name/commit/{name}"
            self.reply(200, {"commitUrl": url, "commitOid": name})

        def resolve(self, repository, revision, path, body):
            commit, files = self.files(repository, revision)
            if commit is None:
                return
            content = files.get(urllib.parse.unquote(path))
            if content is None:
                self.refuse("EntryNotFound")
                return
            start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            start = int(start[1]) if start else 0
            head = {"X-Repo-Commit": commit, "ETag": f'"{_oid(content)}"'}
            if start:
                head["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            rest = content[start:]
            if self.command == "GET" and hub.break_after:
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(rest)))
                self.end_headers()
                self.wfile.write(rest[: hub.break_after.pop(0)])
                self.close_connection = True
                return
            self.reply(206 if start else 200, head=head, body=rest)

    return Handler


def _oid(content):
    return hashlib.sha1(content).hexdigest()


@contextlib.contextmanager
def fake_hub(cache: pathlib.Path) -> Iterator[Hub]:
    """A hub that huggingface_hub takes for its own, and a cache, until the block ends."""

    with served() as (hub, url), pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", url)
        files = "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + files)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setenv("HF_TOKEN", hub.token)
        hub.url = url
        yield hub


@contextlib.contextmanager
def served() -> Iterator[tuple[Hub, str]]:
    """A hub and its address, until the block ends."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
