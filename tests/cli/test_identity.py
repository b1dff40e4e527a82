# SPDX-License-Identifier: MIT
"""identity, pair, sign and audit, as their users see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serial_runtime import identities
from serial_runtime.plc import identity, pairing, signature
from serial_runtime.plc.audit import AuditLog, Entry

SECRET = "a-secret-of-26-characters."


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The directory of a board that has been started."""
    identity.load_or_create(str(tmp_path / "plc"), "press")
    return tmp_path / "plc"


@pytest.fixture(autouse=True)
def psk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(identities.VARIABLE, str(tmp_path / "psk"))
    return tmp_path / "psk"


# ---- on a board ----------------------------------------------------------------------------------


def test_who_the_board_is(run, store: Path) -> None:
    (own,) = identity.read(str(store))
    result = run("identity", "show", "--dir", str(store))
    assert result.out.split() == [own.id, "program", "the", "board", "itself"]
    assert own.secret not in result.out
    result = run("identity", "show", "--dir", str(store), "--secret")
    assert result.out == f"{own.id}:{own.secret}\n"
    (row,) = json.loads(run("identity", "show", "--dir", str(store), "--json").out)
    assert row == {"id": own.id, "role": "program", "own": True}


def test_the_profile_says_where(run, store: Path, tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text(f'[store]\ndir = "{store}"\n')
    result = run("identity", "show", "--profile", str(tmp_path / "board.toml"))
    assert result.out.startswith("press-")


def test_another_client_comes_and_goes(run, store: Path) -> None:
    here = ("--dir", str(store))
    (own,) = identity.read(str(store))
    assert run("identity", "add", "panel", "--role", "operate", *here).status == 0
    assert run("identity", "add", "wall", *here).status == 0
    panel, wall = identity.read(str(store))[1:]
    assert (panel.role, wall.role) == ("operate", "view")
    assert "is there already" in run("identity", "add", "panel", *here).err
    assert run("identity", "show", "panel", "--secret", *here).out == f"panel:{panel.secret}\n"
    assert run("identity", "rotate", "panel", *here).status == 0
    assert identity.read(str(store))[1].secret != panel.secret
    assert run("identity", "revoke", "panel", *here).status == 0
    assert identity.read(str(store)) == [own, wall]
    assert "'panel' is not known here" in run("identity", "revoke", "panel", *here).err
    assert "is the board itself" in run("identity", "revoke", own.id, *here).err


def test_another_secret_and_another_id_for_the_board(run, store: Path) -> None:
    here = ("--dir", str(store))
    first = identity.read(str(store))[0]
    run("identity", "add", "wall", *here)
    run("identity", "rotate", *here)
    second = identity.read(str(store))[0]
    assert second.id == first.id
    assert second.secret != first.secret
    assert run("identity", "new", "drill", *here).status == 0
    third, wall = identity.read(str(store))
    assert third.id.startswith("drill-")
    assert third.secret != second.secret
    assert wall.id == "wall"


def test_a_window(run, store: Path) -> None:
    result = run("identity", "pair", "--minutes", "1", "--dir", str(store))
    assert result.out.startswith("for 1 min the first client on TCP")
    assert pairing.close_window(str(store))
    assert run("identity", "pair", "--minutes", "61", "--dir", str(store)).status == 2


def test_no_window_where_the_policy_tells_nobody(run, store: Path, tmp_path: Path) -> None:
    profile = tmp_path / "board.toml"
    profile.write_text(f'[store]\ndir = "{store}"\n[policy]\npairing = "off"\n')
    result = run("identity", "pair", "--profile", str(profile))
    assert (result.status, result.out) == (2, "")
    assert 'policy.pairing = "off"' in result.err
    assert not pairing.close_window(str(store))


@pytest.mark.parametrize("action", ["show", "rotate", "pair", "add x", "revoke x"])
def test_where_no_runtime_was_started(run, tmp_path: Path, action: str) -> None:
    result = run("identity", *action.split(), "--dir", str(tmp_path / "none"))
    assert result.status == 1
    assert "no identity is in" in result.err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "words", ["", "shwo", "add", "add ../evil", "pair now", "forget", "export"]
)
def test_wrong_words(run, store: Path, words: str) -> None:
    result = run("identity", *words.split(), "--dir", str(store))
    assert result.status == 2
    assert "serial-runtime: error: " in result.err


# ---- on the host ---------------------------------------------------------------------------------


def test_pairing(run, board, psk: Path) -> None:
    board.secret = SECRET
    result = run("pair")
    assert result.status == 0
    assert "ERPCS://fake#FAKE" in result.out
    assert "unencrypted" in result.out
    assert SECRET not in result.out
    assert identities.secret_of("FAKE") == SECRET.encode()
    board.secret = SECRET + "2"
    assert "is replaced" in run("pair").out
    (row,) = json.loads(run("identity", "list", "--json").out)
    assert (row["id"], row["uri"]) == ("FAKE", "ERPC://fake:3000")
    assert run("identity", "list").out.startswith("FAKE  ERPC://fake:3000  -  ")


def test_a_board_that_tells_nothing_costs_no_secret(run, board, psk: Path) -> None:
    identities.keep("FAKE", SECRET, "x")
    result = run("pair")
    assert result.status == 1
    assert "pairing window" in result.err
    assert identities.secret_of("FAKE") == SECRET.encode()


def test_secrets_move_to_another_computer(
    run, psk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("press", "drill"):
        identities.keep(name, SECRET, "x")
    export = str(tmp_path / "all.zip")
    assert "drill, press" in run("identity", "export", export).out
    assert "File exists" in run("identity", "export", export).err
    monkeypatch.setenv(identities.VARIABLE, str(tmp_path / "other"))
    identities.keep("press", SECRET + "2", "x")
    result = run("identity", "import", export)
    assert result.out.splitlines()[0] == "taken: drill"
    assert "--replace" in result.out
    assert run("identity", "import", export, "--replace").out == "taken: drill, press\n"
    assert run("identity", "forget", "press").out == "forgot press\n"
    assert [row[0] for row in identities.rows()] == ["drill"]


# ---- signatures and the audit log ----------------------------------------------------------------


def test_what_others_wrote_does_not_steer_the_terminal(run, psk: Path) -> None:
    identities.keep("press-1", SECRET, "ERPC://there")
    (psk / "management.json").write_text(json.dumps([["press-1", "\x1b[2J", "a\nb", None]]))
    assert run("identity", "list").out == "press-1  \\x1b[2J  a\\x0ab  -\n"


@pytest.mark.parametrize("options", [(), ("--hmac",)])
def test_a_signed_program_is_sent_with_its_signature(
    run, board, tmp_path: Path, options: tuple[str, ...], image: Path
) -> None:
    key, table = tmp_path / "office.key", tmp_path / "table.csv"
    table.write_text("1;2")
    made = run("sign", "--new", "--key", str(key), *options)
    (tmp_path / "keys").write_text(made.out)
    assert key.stat().st_mode & 0o777 == 0o600
    assert "never overwritten" in run("sign", "--new", "--key", str(key)).err

    assert run("sign", "--key", str(key), str(image), "--extra", str(table)).status == 0
    assert run("load", str(image), "--extra", str(table)).status == 0
    names = dict(board.extra_files)
    assert list(names) == ["table.csv", signature.FILE]
    (tmp_path / "sig").write_bytes(names[signature.FILE])
    files = [("table.csv", str(table)), (signature.FILE, str(tmp_path / "sig"))]
    signature.check(str(image), files, str(tmp_path / "keys"))


def test_wrong_words_of_sign(run, image: Path, tmp_path: Path) -> None:
    assert "which key?" in run("sign", str(image)).err
    assert "cannot be read" in run("sign", str(image), "--key", str(tmp_path / "none")).err
    assert "one image file" in run("sign", "--key", "x").err


def test_the_audit_log(run, tmp_path: Path) -> None:
    log = AuditLog(str(tmp_path), 1 << 16, pytest.fail)
    log.note(Entry("tls", "192.0.2.7:4711", "panel", False, "StartPLC", "", "done"))
    log.note(Entry("serial", "/dev/ttyS1", "", True, "NewPLC", "abc t.csv\x1b", "the digest is"))
    log.close()
    here = ("--dir", str(tmp_path))
    first, second = run("audit", *here).out.splitlines()
    assert first.partition("  ")[2] == "panel at 192.0.2.7:4711 (tls)  StartPLC: done"
    assert second.endswith(
        "/dev/ttyS1 (serial, through a bridge)  NewPLC abc t.csv\\x1b: the digest is"
    )
    (row,) = map(json.loads, run("audit", *here, "--json", "--count", "1").out.splitlines())
    assert row["call"] == "NewPLC"
    nothing = run("audit", "--dir", str(tmp_path / "none"))
    assert (nothing.out, nothing.status) == ("", 0)
    assert f"no entry is in {tmp_path}/none (--dir or --profile names" in nothing.err
