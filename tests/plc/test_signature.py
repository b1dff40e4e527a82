# SPDX-License-Identifier: MIT
from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plc_scene import Scene, image, md5, status

from serial_runtime.errors import ConfigError, ImageError, SerialRuntimeError
from serial_runtime.plc import signature
from serial_runtime.plc.answers import PlcStatus
from serial_runtime.plc.signature import ED25519, FILE, HMAC, Line

ALGORITHMS = (ED25519, HMAC)


class Desk:
    """Where programs are signed: files, and a key file as a board has it."""

    def __init__(self, folder: Path, algorithm: str) -> None:
        self.folder = folder
        self.private, public = signature.new_key(algorithm, "office")
        self.keys = folder / "keys"
        self.keys.write_text(f"# of this plant\n{public}\n")

    def file(self, name: str, content: bytes) -> tuple[str, str]:
        path = self.folder / f"of-{name}"
        path.write_bytes(content)
        return name, str(path)

    def sign(self, program: bytes, *files: tuple[str, bytes]) -> bytes:
        _, path = self.file("program", program)
        extra = [self.file(*one) for one in files]
        return str(signature.sign(self.private, signature.manifest(path, extra))).encode()

    def check(self, program: bytes, *files: tuple[str, bytes]) -> None:
        _, path = self.file("program", program)
        signature.check(path, [self.file(*one) for one in files], str(self.keys))


@pytest.fixture(params=ALGORITHMS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    (tmp_path / "desk").mkdir()
    return Desk(tmp_path / "desk", request.param)


def test_a_signature_covers_program_and_extra_files(desk: Desk) -> None:
    files = (("b.csv", b"1;2"), ("a.csv", b""))
    sig = (FILE, desk.sign(b"program", *files))
    desk.check(b"program", *files, sig)
    desk.check(b"program", sig, *reversed(files))
    for program, others in (
        (b"Program", files),
        (b"program", files[:1]),
        (b"program", (("b.csv", b"1;3"), files[1])),
        (b"program", (("c.csv", b"1;2"), files[1])),
        (b"program", (("b.csv", b""), ("a.csv", b"1;2"))),
        (b"program", (*files, ("new", b""))),
    ):
        with pytest.raises(ImageError, match="by office is of another program"):
            desk.check(program, *others, sig)


def test_no_two_sets_of_files_have_one_manifest(desk: Desk) -> None:
    _, program = desk.file("program", b"")
    _, empty = desk.file("empty", b"")
    names = [("ab",), ("a", "b"), ("a\nb",), ("b",), ()]
    found = {signature.manifest(program, [(name, empty) for name in some]) for some in names}
    assert len(found) == len(names)


def test_what_is_missing_or_unknown_is_told(desk: Desk) -> None:
    with pytest.raises(ImageError, match=f"not signed.*`serial-runtime sign` makes {FILE}"):
        desk.check(b"program")
    good = desk.sign(b"program").decode()
    with pytest.raises(ImageError, match="signed by home: this board knows no such key"):
        desk.check(b"program", (FILE, good.replace("office", "home").encode()))
    with pytest.raises(ImageError, match="signed by nobody"):
        desk.check(b"program", (FILE, b""))
    for text in ("nonsense", "\xff" * 9, f"{good} more", good[:-1]):
        with pytest.raises(ImageError, match="the signature is damaged"):
            desk.check(b"program", (FILE, text.encode("latin-1")))


def test_one_good_signature_is_enough(desk: Desk) -> None:
    other = Line(desk.private.algorithm.partition("-p")[0], "home", b"x" * 64)
    both = f"{other}\n{desk.sign(b'program').decode()}\n"
    desk.check(b"program", (FILE, both.encode()))


def test_a_key_of_the_same_name_does_not_sign(desk: Desk) -> None:
    algorithm = desk.private.algorithm.partition("-p")[0]
    forged, _ = signature.new_key(algorithm, "office")
    _, path = desk.file("program", b"program")
    line = signature.sign(forged, signature.manifest(path, ()))
    with pytest.raises(ImageError, match="is of another program"):
        desk.check(b"program", (FILE, str(line).encode()))


def test_a_public_key_that_is_taken_for_a_shared_secret_signs_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ED25519)
    (public,) = signature.read_keys(str(desk.keys))
    _, path = desk.file("program", b"program")
    forged = signature.sign(public._replace(algorithm=HMAC), signature.manifest(path, ()))
    with pytest.raises(ImageError, match="knows no such key"):
        desk.check(b"program", (FILE, str(forged).encode()))
    with pytest.raises(ConfigError, match="public one"):
        signature.sign(public, b"")


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "no key is there"), ("ed25519 a", "expected lines"), ("rsa a AAAA", "of 32 bytes"),
     ("ed25519 a AAAA", "of 32 bytes")],
)  # fmt: skip
def test_a_wrong_key_file_is_told(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(ConfigError, match=f"{tmp_path}/keys: .*{why}"):
        signature.read_keys(str(tmp_path / "keys"))
    with pytest.raises(ConfigError, match="cannot be read"):
        signature.read_keys(str(tmp_path / "none"))


def test_without_the_package_its_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, ED25519)
    sig = desk.sign(b"program")
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(ConfigError, match=r"cryptography.*serial-runtime\[sign\].*hmac-sha256"):
        desk.check(b"program", (FILE, sig))


class SignedScene(Scene):
    """A board that takes signed programs only."""

    def __init__(self, directory: str, keys_path: str) -> None:
        self.options = {"keys_path": keys_path}
        super().__init__(directory)

    def send(self, program: bytes, *files: tuple[str, bytes]) -> None:
        extra = [(name, self.upload(data, name.encode())) for name, data in files]
        self.plc.new_plc("ide", md5(program), self.upload(program), extra)

    def restart(self) -> None:
        self.end()
        self.begin()
        self.plc.autoload(True)


def test_a_board_takes_signed_programs_only(desk: Desk, tmp_path: Path) -> None:
    scene = SignedScene(str(tmp_path / "plc"), str(desk.keys))
    good, evil, table = image("good"), image("evil"), ("t.csv", b"1")
    sig = (FILE, desk.sign(good, table))
    scene.send(good, table, sig)
    scene.plc.start()
    for program, files in ((evil, ()), (evil, (sig,)), (good, (sig,)), (good, (table,))):
        with pytest.raises(ImageError, match="sign"):
            scene.send(program, *files)
        assert status(scene) is PlcStatus.STARTED, "the one before runs on"
        assert scene.plc.match_md5(md5(good))
    scene.restart()
    assert status(scene) is PlcStatus.STARTED
    scene.end()


def test_the_stored_program_is_verified_too(desk: Desk, tmp_path: Path) -> None:
    scene = SignedScene(str(tmp_path / "plc"), str(desk.keys))
    program = image("good")
    scene.send(
        program,
        (FILE, desk.sign(program)),
    )
    stored = scene.store.current()
    scene.end()
    sig = Path(stored.files_directory, FILE)
    text = sig.read_bytes()
    sig.write_bytes(desk.sign(image("another")))
    scene.begin()
    scene.plc.autoload(True)
    assert status(scene) is PlcStatus.BROKEN
    assert "signature by office is of another program" in scene.plc.board_status().fault
    with pytest.raises(SerialRuntimeError):
        scene.plc.start()
    sig.write_bytes(text)
    scene.restart()
    assert status(scene) is PlcStatus.STARTED
    scene.end()


def test_keys_that_are_gone_keep_the_program_from_loading_not_the_board(
    desk: Desk, tmp_path: Path
) -> None:
    scene = SignedScene(str(tmp_path / "plc"), str(desk.keys))
    program = image("good")
    scene.send(program, (FILE, desk.sign(program)))
    desk.keys.unlink()
    with pytest.raises(ConfigError, match="keys cannot be read"):
        scene.send(program, (FILE, desk.sign(program)))
    scene.restart()
    assert status(scene) is PlcStatus.BROKEN
    assert "keys cannot be read" in scene.plc.board_status().fault
    scene.end()


@given(st.binary(max_size=200))
def test_any_signature_is_refused_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"), HMAC)
    with pytest.raises(ImageError, match="sign"):
        desk.check(b"program", (FILE, text))
