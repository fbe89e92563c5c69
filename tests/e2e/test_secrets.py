"""What a login consists of reaches the page and nobody else: no log, event, table, answer, file, process."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil

from tests.e2e.panoreel import Panoreel
from tests.servers.pages import serve_pages

SECRET = uuid4().hex
"""What every secret value holds, in this run alone."""

PAGE = """<script>
fetch('/say?' + new URLSearchParams({cookie: document.cookie, stored: localStorage.getItem('login')}))
</script>"""


def processes_that_show_it(stack: psutil.Process) -> list[str]:
    """The command lines and environments of the stack's processes that hold the secret."""
    found = []
    for process in (stack, *stack.children(recursive=True)):
        try:
            shown = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        found += [f"{process.pid}: {text}" for text in shown if SECRET in text]
    return found


def files_that_hold(text: str, directory: Path) -> Iterator[Path]:
    """The files below `directory` in which the text can be read."""
    for path in directory.rglob("*"):
        try:
            if path.is_file() and text.encode() in path.read_bytes():
                yield path
        except OSError:  # it has gone meanwhile
            continue


def test_a_login_is_seen_by_the_page_alone(panoreel: Panoreel) -> None:
    with serve_pages() as site:
        site.pages["/class"] = PAGE
        host = site.address.removeprefix("http://").partition(":")[0]
        browser = {
            "Cookies": [{"Name": "session", "Value": f"cookie-{SECRET}", "Domain": host}],
            "Headers": {"Authorization": f"Bearer header-{SECRET}"},
            "UserAgent": f"agent-{SECRET}",
            "StorageState": {
                "cookies": [],
                "origins": [
                    {
                        "origin": site.address,
                        "localStorage": [{"name": "login", "value": f"stored-{SECRET}"}],
                    }
                ],
            },
        }
        data = {
            "RecordURL": f"{site.address}/class?token={SECRET}",
            "CallbackURL": f"{site.address}/told?token={SECRET}",
            "Browser": browser,
        }
        task_id = panoreel.act("Start", **data)["TaskID"]
        panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
        assert site.said("cookie") == f"session=cookie-{SECRET}"
        assert site.said("stored") == f"stored-{SECRET}"
        [request] = site.asked("/class")
        assert request.path == f"/class?token={SECRET}"
        assert request.headers["Authorization"] == f"Bearer header-{SECRET}"
        assert request.headers["User-Agent"] == f"agent-{SECRET}"
        stack = psutil.Process(panoreel.endpoints["pid"])
        names = {process.name() for process in stack.children(recursive=True)}
        assert any("chrom" in name for name in names), f"the browser is not among {names}"
        assert processes_that_show_it(stack) == []

        panoreel.act("Refresh", TaskID=task_id, RecordURL=f"{site.address}/class?other={SECRET}")
        assert site.said("cookie")
        panoreel.act("Stop", TaskID=task_id)
        panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
        assert site.asked("/told")
    answers = [
        panoreel.act("Describe", TaskID=task_id),
        panoreel.act("DescribeDetail", TaskID=task_id),
        panoreel.act("List", Status="all"),
        panoreel.events(task_id),
    ]
    assert task_id in json.dumps(answers[0])
    assert SECRET not in json.dumps(answers)
    # Logs, the broker's streams, the database and its journal, the blobs, the object store, the spool.
    assert list(files_that_hold(SECRET, panoreel.data)) == []
    for store in ("logs", "nats", "postgres"):
        assert list(files_that_hold(task_id, panoreel.data / store)), f"{store} is not to be read like this"
