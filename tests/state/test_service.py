"""Which processes share their state without being told, and whose directories are swept."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from faultware.errors import StoreError
from faultware.state import service
from faultware.state.service import embedded_directory, root_process
from tests.state.processes import ROOT, SECONDS, command, run, running

# pid (comm) and the fields up to the start time and the layout; the command's name may hold anything.
STAT = "{pid} (a b) c) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0 0 {layout} 0 0"


@pytest.fixture
def base(tmp_path, monkeypatch):
    base = tmp_path / "base"
    monkeypatch.setattr(service, "_base", lambda: base)
    return base


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """A /proc of our own making: give it processes."""
    monkeypatch.setattr(service, "_PROC", tmp_path / "proc")

    def add(pid, layout="10 20 30", start=7, command=b"serve\0"):
        place = tmp_path / "proc" / str(pid)
        place.mkdir(parents=True)
        (place / "stat").write_text(STAT.format(pid=pid, start=start, layout=layout))
        (place / "cmdline").write_bytes(command)

    return add


def test_a_forked_child_shares_with_its_parent():
    parent, child = run("forked")
    assert parent == child


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_a_child_of_multiprocessing_shares_with_its_parent(method):
    parent, child = run("spawned", method)
    assert parent == child


def test_two_services_from_one_shell_do_not_share(tmp_path):
    line = shlex.join(command("identity"))
    # A file for each: two that write at the same time into one pipe may share a line.
    ways = [f"{line} > {shlex.quote(str(tmp_path / name))}" for name in "abc"]
    script = f"{ways[0]} & {ways[1]} & wait; {ways[2]}"
    shell = subprocess.run(["/bin/sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    names = [tmp_path.joinpath(name).read_text().strip() for name in "abc"]
    assert len(set(filter(None, names))) == 3, shell.stderr


def test_two_services_from_one_python_program_do_not_share():
    names = [*run("identity"), *run("identity"), embedded_directory().name]
    assert len(set(names)) == 3


def test_a_service_is_called_by_its_process_its_start_and_the_space_of_numbers():
    pid, start, namespace = embedded_directory().name.split("-")
    assert pid == str(os.getpid())
    assert int(start) > 0
    assert namespace == "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink())))


def test_a_fork_is_told_from_a_new_program_by_the_layout_of_its_memory(proc):
    proc(os.getpid(), layout="10 20 30")
    proc(os.getppid(), layout="10 20 31")
    assert root_process() == os.getpid()
    (service._PROC / str(os.getppid()) / "stat").write_text(STAT.format(pid=1, start=7, layout="10 20 30"))
    assert root_process() == os.getppid()


@pytest.mark.parametrize("hidden", ["0 0 0", "1 1 0"])
@pytest.mark.parametrize(("theirs", "is_ours"), [(b"serve\0", True), (b"bash\0", False)])
def test_a_parent_whose_layout_is_hidden_is_known_by_its_command(proc, hidden, theirs, is_ours):
    proc(os.getpid())
    proc(os.getppid(), layout=hidden, command=theirs)
    assert root_process() == (os.getppid() if is_ours else os.getpid())


@pytest.mark.parametrize("is_gunicorn", [True, False])
def test_where_nothing_shows_processes_a_worker_of_gunicorn_is_known_by_its_arbiter(proc, monkeypatch, is_gunicorn):
    if is_gunicorn:
        monkeypatch.setitem(sys.modules, "gunicorn.arbiter", object())
    else:
        monkeypatch.delitem(sys.modules, "gunicorn.arbiter", raising=False)
    assert root_process() == (os.getppid() if is_gunicorn else os.getpid())
    assert service.identity(root_process()) == f"{root_process()}-0-0"


def dead_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(SECONDS)
    return process.pid


def test_directories_of_services_that_are_gone_are_swept_and_no_others(base):
    base.mkdir(mode=0o700)
    with running("linger", base) as (process, said):
        living, is_root = said.split()
        assert is_root == "True"
        pid, start, namespace = living.split("-")
        assert pid == str(process.pid)
        gone = f"{dead_pid()}-5-{namespace}"
        reborn = f"{pid}-{int(start) - 1}-{namespace}"
        spared = [
            f"{dead_pid()}-5-{int(namespace) + 1}",
            "something",
            "12-x-0",
            f"²-1-{namespace}",
            f"-1-5-{namespace}",
        ]
        for name in (gone, reborn, *spared):
            (base / name).mkdir()
            (base / name / "switch").write_text("")
        embedded_directory()
        assert {entry.name for entry in base.iterdir()} == {living, *spared}
        assert (base / living / "state.json").exists()
    embedded_directory()
    assert {entry.name for entry in base.iterdir()} == set(spared)


def test_a_service_of_another_user_that_is_hidden_is_not_taken_for_dead(base, proc, monkeypatch):
    """A master that runs as root while its workers do not, on a system where users see their own processes only."""
    base.mkdir(mode=0o700)
    proc("self")
    monkeypatch.setattr(service, "_namespace", lambda: "1")
    answers = {101: PermissionError(), 102: ProcessLookupError(), 103: OverflowError(), 104: None}

    def signal(pid, _number):
        if isinstance(answers[pid], Exception):
            raise answers[pid]

    monkeypatch.setattr(os, "kill", signal)
    for pid in answers:
        (base / f"{pid}-0-1").mkdir()
    embedded_directory()
    assert {entry.name for entry in base.iterdir()} == {"101-0-1", "104-0-1"}


def test_a_link_among_the_directories_is_not_followed(base, tmp_path):
    base.mkdir(mode=0o700)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("")
    namespace = service._namespace()
    (base / f"{dead_pid()}-5-{namespace}").symlink_to(precious)
    embedded_directory()
    assert (precious / "file").exists()


def test_the_place_of_all_services_is_made_private_whatever_the_mask(base):
    mask = os.umask(0)
    try:
        embedded_directory()
    finally:
        os.umask(mask)
    assert base.stat().st_mode & 0o777 == 0o700


def make_link(base):
    base.symlink_to(base.parent)


def make_open(base):
    base.mkdir()
    base.chmod(0o777)


def make_file(base):
    base.write_text("")


@pytest.mark.parametrize("prepare", [make_link, make_open, make_file])
def test_a_place_that_somebody_else_may_have_prepared_is_refused(base, prepare):
    prepare(base)
    with pytest.raises(StoreError):
        embedded_directory()


def test_where_nothing_can_be_written_that_is_told(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_args: False)

    def no_directory():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", no_directory)
    with pytest.raises(StoreError, match="no directory for the state: No usable temporary directory found"):
        embedded_directory()


@pytest.mark.parametrize("variable", ["TMPDIR", None])
def test_the_current_directory_is_taken_only_where_it_is_named(monkeypatch, tmp_path, variable):
    monkeypatch.chdir(tmp_path)
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, ".")
    monkeypatch.setattr(os, "access", lambda *_args: False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    if variable:
        assert service._base() == tmp_path / f"faultware-{os.geteuid()}"
    else:
        with pytest.raises(StoreError, match="no directory for the state: there is none for temporary files"):
            embedded_directory()


def test_the_place_is_in_shared_memory_or_else_among_temporary_files(monkeypatch, tmp_path):
    user = os.geteuid()
    if os.access("/dev/shm", os.W_OK):
        assert service._base() == Path(f"/dev/shm/faultware-{user}")
    monkeypatch.setattr(os, "access", lambda *_args: False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert service._base() == tmp_path / f"faultware-{user}"


@pytest.mark.parametrize(
    ("variable", "ours", "theirs", "is_shared"),
    [
        ("WERKZEUG_RUN_MAIN", b"/v/bin/python3\0-m\0flask\0run\0", b"python\0-m\0flask\0run\0", True),
        ("RUN_MAIN", b"python\0manage.py\0runserver\0", b"python\0manage.py\0runserver\0", True),
        ("RUN_MAIN", b"python\0other.py\0", b"python\0manage.py\0runserver\0", False),
        ("RUN_MAIN", b"", b"", False),
        ("RUN_MAINS", b"python\0manage.py\0runserver\0", b"python\0manage.py\0runserver\0", False),
    ],
)
def test_a_program_that_is_started_again_on_changes_belongs_to_who_starts_it(
    proc, monkeypatch, variable, ours, theirs, is_shared
):
    monkeypatch.setenv(variable, "true")
    proc(os.getpid(), layout="10 20 30", command=ours)
    proc(os.getppid(), layout="40 50 60", command=theirs)
    assert root_process() == (os.getppid() if is_shared else os.getpid())
