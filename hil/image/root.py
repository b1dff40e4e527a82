# SPDX-License-Identifier: MIT
"""The board's root file system: Debian packages unpacked, with the records that dpkg keeps.

dpkg on the board finds every package in its database, so it installs, upgrades and removes there
as on any other Debian.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from board.packaging.foreign import Package, merge_usr, unpack
from serial_runtime.errors import PackagingError

_FILES = Path(__file__).parent / "files"
PACKAGES = (
    # What a Debian system is made of ...
    *("base-files", "base-passwd", "bash", "bsdutils", "coreutils", "dash", "debianutils"),
    *("diffutils", "dpkg", "apt", "findutils", "grep", "gzip", "hostname", "init-system-helpers"),
    *("libc-bin", "login", "mawk", "mount", "ncurses-base", "ncurses-bin", "passwd", "perl-base"),
    *("procps", "sed", "tar", "usr-is-merged", "util-linux", "adduser"),
    # ... with systemd, and what one looks at a PLC board with.
    *("systemd", "systemd-sysv", "udev", "kmod", "gpiod", "rt-tests"),
)
# What no board reads; dpkg on the board leaves it out, too.
EXCLUDED = (
    *("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"),
    *("/usr/share/lintian/*", "/usr/share/bug/*", "/usr/share/bash-completion/*"),
    *("/usr/share/zsh/*", "/usr/lib/*/gconv/*", "/usr/lib/udev/hwdb.d/*", "/lib/udev/hwdb.d/*"),
)
# What Debian starts that a PLC board has no use for; a boot is half as long without.
MASKED_UNITS = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("systemd-tmpfiles-clean.timer", "getty-static.service", "getty@tty1.service"),
    *("modprobe@.service", "systemd-modules-load.service", "systemd-tmpfiles-setup-dev.service"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-fs-fuse-connections.mount"),
    *("sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    *("proc-sys-fs-binfmt_misc.automount", "systemd-ask-password-console.path"),
    *("systemd-ask-password-wall.path", "systemd-initctl.socket", "systemd-remount-fs.service"),
    *("systemd-journald-audit.socket", "systemd-update-utmp.service", "systemd-logind.service"),
    *("systemd-update-utmp-runlevel.service", "systemd-user-sessions.service"),
    *("systemd-pstore.service", "systemd-repart.service", "systemd-firstboot.service"),
    *("systemd-random-seed.service", "systemd-networkd.socket", "e2scrub_reap.service"),
)
MASKED_GENERATORS = (
    *("bless-boot", "cryptsetup", "debug", "fstab", "gpt-auto", "hibernate-resume"),
    *("integritysetup", "rc-local", "run", "system-update", "sysv", "veritysetup"),
)
_SCRIPTS = {"preinst", "postinst", "prerm", "postrm", "config"}


def build(packages: Iterable[Package], root: Path) -> None:
    """Make ``root`` of packages. PackagingError."""
    merge_usr(root)
    database = root / "var" / "lib" / "dpkg"
    for folder in (database / "info", database / "updates", database / "triggers"):
        folder.mkdir(parents=True)
    (database / "info" / "format").write_text("1\n")
    exclude = [f".{pattern}" for pattern in EXCLUDED]
    with (database / "status").open("w") as status:
        for package in packages:
            files = unpack(package.path, root, exclude)
            status.write(_record(package, files, database) + "\n")
    (database / "available").touch()
    configured = root / "etc" / "dpkg" / "dpkg.cfg.d" / "board"
    configured.write_text("".join(f"path-exclude={pattern}\n" for pattern in EXCLUDED))
    copy_files(_FILES / "board", root)
    for name in MASKED_UNITS:
        (root / "etc" / "systemd" / "system" / name).symlink_to("/dev/null")
    generators = root / "etc" / "systemd" / "system-generators"
    generators.mkdir()
    for name in MASKED_GENERATORS:
        (generators / f"systemd-{name}-generator").symlink_to("/dev/null")
    compile_python(root, "usr/lib/python3.11", "usr/lib/python3", "usr/share/python3")


def copy_files(source: Path, root: Path) -> None:
    """Put the files below ``source`` over those of the root."""
    for path in sorted(source.rglob("*")):
        target = root / path.relative_to(source)
        if path.is_dir():
            target.mkdir(exist_ok=True)
            continue
        target.unlink(missing_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if path.read_bytes()[:2] == b"#!" else 0o644)


def _record(package: Package, files: Iterable[str], database: Path) -> str:
    """Write what dpkg keeps of a package; its paragraph of the status file."""
    with tempfile.TemporaryDirectory() as scratch:
        control = Path(scratch)
        subprocess.run(["dpkg-deb", "--control", package.path, control], check=True)
        paragraph = (control / "control").read_text().rstrip("\n") + "\n"
        fields = dict(
            line.split(": ", 1)
            for line in paragraph.splitlines()
            if ": " in line and not line.startswith(" ")
        )
        name = package.name
        if fields.get("Multi-Arch") == "same":
            name += f":{fields['Architecture']}"
        info = database / "info"
        (info / f"{name}.list").write_text("".join(f"{path}\n" for path in files))
        for path in control.iterdir():
            if path.name == "control":
                continue
            copy = info / f"{name}.{path.name}"
            shutil.copyfile(path, copy)
            copy.chmod(0o755 if path.name in _SCRIPTS else 0o644)
        if (triggers := control / "triggers").exists():
            _record_triggers(triggers.read_text(), name, database / "triggers")
        conffiles = ""
        if (listing := control / "conffiles").exists():
            root = database.parents[2]
            for line in listing.read_text().split("\n"):
                file = root / line.lstrip("/")
                if line.startswith("/") and file.is_file():
                    digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
                    conffiles += f" {line} {digest}\n"
        head, rest = paragraph.split("\n", 1)
        state = f"{head}\nStatus: install ok unpacked\n{rest}"
        return state + (f"Conffiles:\n{conffiles}" if conffiles else "")


def _record_triggers(text: str, name: str, triggers: Path) -> None:
    for line in text.splitlines():
        words = line.split()
        if len(words) != 2 or not words[0].startswith("interest"):
            continue
        who = name + ("/noawait" if words[0].endswith("noawait") else "")
        if words[1].startswith("/"):
            with (triggers / "File").open("a") as file:
                file.write(f"{words[1]} {who}\n")
        else:
            with (triggers / words[1]).open("a") as file:
                file.write(f"{who}\n")


def compile_python(root: Path, *folders: str) -> None:
    """Compile Python below folders of the root, which the board would need minutes for."""
    if sys.version_info[:2] != (3, 11):
        raise PackagingError(
            "the board's Python is 3.11 (Debian 12) and its bytecode is made by this one, which is"
            f" {sys.version_info[0]}.{sys.version_info[1]}: run this with Python 3.11"
        )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "compileall", "-q", "-j", "0", "-s", root, "-p", "/"),
            *("--invalidation-mode", "timestamp"),
            *(root / folder for folder in folders),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 1):  # 1: a file of theirs that is not meant to compile
        raise PackagingError(f"bytecode of {', '.join(folders)}: {done.stderr.strip()}")
