"""Generated stubs at work: with the stock client, server and codec of erpc."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from erpc import Reference
from erpc.basic_codec import BasicCodec
from erpc.client import RequestError
from hypothesis import given, settings
from hypothesis import strategies as st

from serial_codegen.idl import model
from serial_codegen.idl.errors import Source
from serial_codegen.idl.parser import parse
from serial_codegen.idl.semantics import analyse
from serial_runtime.rpc.ide import client, common, interface, server

HERE = Path(__file__).parent
SAMPLE = (HERE / "golden" / "sample.erpc").read_text()
VECTORS = json.loads((HERE.parent / "data" / "wire-vectors.json").read_text())


@pytest.fixture
def sample(load: Any) -> SimpleNamespace:
    return load(SAMPLE)


# The IDE's service, byte by byte as recorded between its client and its runtime.

SEED_ID = bytes.fromhex("fe4c0f30aa359c41d9f9a5f69c8c4192")
DATA_ID = bytes.fromhex("196d127761e0501b24ab74842ec36a8b")
PROGRAM_MD5 = "93fc7785e2e03d11a39f06a06917fa7b"
PROGRAM_ID = bytes.fromhex("d47b0974a2a84a2337170d8adbd9f40e")
FILE_ID = bytes.fromhex("33b9b08ac3e95029d5205882af15a9e4")
SAMPLES = [common.TraceSample(tick, bytes([tick, 0, 0, 0, 7, 0, 0, 0])) for tick in range(2, 6)]
# In the order of the recording: method, inputs, outputs.
CALLS: list[tuple[str, list[Any], list[Any]]] = [
    ("GetPLCID", [], [common.Identity(ID="", PSK="")]),
    ("GetPLCstatus", [], [common.PlcStatus(common.Status.Empty, [0, 0, 0, 0])]),
    ("PurgeBlobs", [], []),
    ("SeedBlob", [b"seed"], [SEED_ID]),
    ("AppendChunkToBlob", [b"abc", SEED_ID], [DATA_ID]),
    ("MatchMD5", ["00"], [False]),
    ("NewPLC", [PROGRAM_MD5, PROGRAM_ID, [common.ExtraFile("e.txt", FILE_ID)]], [True]),
    ("StartPLC", [], []),
    (
        "SetTraceVariablesList",
        [[common.TraceOrder(0, b""), common.TraceOrder(4, b"\7\0\0\0")]],
        [1],
    ),
    ("GetTraceVariables", [1], [common.TraceReply(common.Status.Started, SAMPLES)]),
    ("GetLogMessage", [3, 0], [common.LogMessage("PLC started", 0, 1795312501, 353737674)]),
    ("SetTraceVariablesList", [[]], [-5]),
    ("ResetLogCount", [], []),
    ("StopPLC", [], [True]),
]


@pytest.mark.parametrize(
    ("vector", "call"), [*zip(VECTORS, CALLS, strict=True)], ids=[v["call"] for v in VECTORS]
)
def test_ide_service_has_the_recorded_bytes(
    vector: dict[str, Any], call: tuple[str, list[Any], list[Any]], connect: Any
) -> None:
    name, inputs, outputs = call
    request, reply = bytes.fromhex(vector["request"]), bytes.fromhex(vector["reply"])
    assert (len(request), len(reply)) == (vector["request_bytes"], vector["reply_bytes"])
    received = []

    def method(*arguments: Any) -> int:
        received.extend(arguments[: len(inputs)])
        for reference, value in zip(arguments[len(inputs) :], outputs, strict=True):
            reference.value = value
        return 0

    handler: Any = SimpleNamespace(**{name: method})
    manager, client_end, server_end = connect(server.BeremizPLCObjectServiceService(handler))
    manager._sequence = int.from_bytes(request[10:14], "little") - 1
    references = [Reference() for _ in outputs]

    stub = client.BeremizPLCObjectServiceClient(manager)
    assert getattr(stub, name)(*inputs, *references) == 0

    assert client_end.frames == [request]
    assert server_end.frames == [reply]
    assert received == inputs
    assert [reference.value for reference in references] == outputs


def test_ide_service_has_the_ids_of_the_ide() -> None:
    names = [
        name
        for name, value in vars(interface.IBeremizPLCObjectService).items()
        if getattr(value, "__isabstractmethod__", False)
    ]
    assert names == sorted(names)
    assert [
        getattr(interface.IBeremizPLCObjectService, f"{name.upper()}_ID") for name in names
    ] == list(range(1, 15))
    assert interface.IBeremizPLCObjectService.SERVICE_ID == 1
    assert {status.name: int(status) for status in common.Status} == {
        "Empty": 0,
        "Stopped": 1,
        "Started": 2,
        "Broken": 3,
        "Disconnected": 4,
    }


# All constructs, by the sample that the golden files come from.


def everything(common: Any) -> Any:
    point = common.Point(-1, 2)
    return common.Everything(
        flag=True,
        i8=-128,
        i16=-(2**15),
        i32=-(2**31),
        i64=-(2**63),
        u8=255,
        u16=2**16 - 1,
        u32=2**32 - 1,
        u64=2**64 - 1,
        f=0.5,
        d=1e300,
        text="grüß\0",
        data=b"\0\xff",
        color=common.Color.Black,
        origin=point,
        ends=[point, common.Point()],
        address=[1, 2, 3, 4],
        matrix=[list(range(16)), [0] * 16],
        path=[point],
        palettes=[[], [common.Color.Blue, 12345]],
        table=[[], [["a", "b"]], []],
        inner=[common.Everything()],
    )


def test_members_of_all_types_return_unchanged(sample: SimpleNamespace) -> None:
    codec = BasicCodec()
    written = everything(sample.common)
    written._write(codec)
    codec.buffer = codec.buffer  # back to its start
    assert sample.common.Everything()._read(codec) == written


def test_structs_are_compared_shown_and_taken_apart(sample: SimpleNamespace) -> None:
    point = sample.common.Point
    assert point(1, 2) == point(y=2, x=1) != point(1)
    assert point() != (0, 0)
    assert repr(point(1, y=-2)) == "Point(x=1, y=-2)"
    whole = sample.common.Everything(path=[point(3, 4)])
    assert whole._asdict()["path"] == [{"x": 3, "y": 4}]
    assert whole._asdict()["origin"] == {"x": 0, "y": 0}
    with pytest.raises(TypeError, match="unhashable"):
        hash(point())
    with pytest.raises(AttributeError):
        point().z = 1


def test_a_default_that_can_be_changed_is_of_one_struct(sample: SimpleNamespace) -> None:
    changed = sample.common.Everything()
    changed.path.append(sample.common.Point())
    changed.origin.x = changed.matrix[0][0] = 1
    assert sample.common.Everything()._asdict() == sample.common.Everything(path=[])._asdict()
    assert sample.common.Everything().origin.x == sample.common.Everything().matrix[0][0] == 0


def test_wire_layout(sample: SimpleNamespace) -> None:
    codec = BasicCodec()
    sample.common.Point(1, -2)._write(codec)
    assert codec.buffer == bytes.fromhex("01000000 feffffff")
    codec.reset()
    sample.common.Everything()._write(codec)
    # Fixed arrays carry no count: the four zero bytes of `address` follow `ends` at once.
    head = 1 + 1 + 2 + 4 + 8 + 1 + 2 + 4 + 8 + 4 + 8 + 4 + 4 + 4
    arrays = 8 + 2 * 8 + 4 + 2 * 16 * 2
    lists = 4 + 4 + 3 * 4 + 4
    assert len(codec.buffer) == head + arrays + lists


def test_calls_of_all_kinds(sample: SimpleNamespace, connect: Any) -> None:
    common = sample.common
    told = []

    class First(sample.interface.IFirst):  # type: ignore[misc, name-defined]
        def Nothing(self) -> None:
            told.append("nothing")

        def Add(self, a: int, b: int) -> int:
            return a + b

        def Tell(self, text: str, points: list[Any]) -> None:
            told.append((text, points))

        def Swap(self, point: Any, id: Any, path: list[Any], color: Any) -> Any:
            old, point.value = point.value, path[0]
            id.value, color.value = 2**32 - 1, color.value + 1
            return old

        def ManyArguments(self, first: Any, second: Any, third: Any, fourth: Any) -> Any:
            third.value = [[inner, []] for inner in first]
            assert type(fourth.value) is bytes
            fourth.value += bytes(second)
            return [common.Point(9, 9)]

    manager, client_end, server_end = connect(sample.server.FirstService(First()))
    stub = sample.client.FirstClient(manager)

    assert stub.Nothing() is None
    assert stub.Add(-3, 5) == 2
    replies = len(server_end.frames)
    assert stub.Tell("hello", [common.Point(1, 2)]) is None
    assert told == ["nothing", ("hello", [common.Point(1, 2)])]
    assert client_end.frames[-1][6:10] == bytes([1, 3, 1, 1])  # oneway, method 3, service 1
    assert len(server_end.frames) == replies

    point, id_, color = Reference(common.Point(1, 2)), Reference(), Reference(common.Color.Red)
    assert stub.Swap(point, id_, [common.Point(3, 4)], color) == common.Point(1, 2)
    assert (point.value, id_.value) == (common.Point(3, 4), 2**32 - 1)
    assert color.value == common.Color.Green

    nested = [[everything(common)], []]
    third, fourth = Reference(), Reference(b"data")
    assert stub.ManyArguments(nested, [1, 2, 3, 4], third, fourth) == [common.Point(9, 9)]
    assert third.value == [[nested[0], []], [[], []]]
    assert fourth.value == b"data\1\2\3\4"


def test_a_fixed_array_of_another_length_is_not_sent(sample: SimpleNamespace) -> None:
    wrong = sample.common.Everything(address=[1, 2, 3])
    with pytest.raises(ValueError, match="address must have 4 items, not 3"):
        wrong._write(BasicCodec())
    wrong = sample.common.Everything(matrix=[[0] * 16, [0] * 15])
    with pytest.raises(ValueError, match=r"matrix\[...\] must have 16 items, not 15"):
        wrong._write(BasicCodec())


def test_constants(sample: SimpleNamespace) -> None:
    common = sample.common
    assert (common.CAPACITY, common.COPY, common.LOWEST) == (16, 16, -(2**63))
    assert (True, 0.25, common.Color.Green) == (common.ENABLED, common.RATIO, common.FAVOURITE)
    assert (common.GREETING, common.PLAIN) == ('say "hi"\n', "it's plain")
    assert type(common.TWO) is float
    assert [int(color) for color in common.Color] == [0, 1, 32, 33, -1, 16]
    assert (common.Path, common.Id, common.Where) == (list[common.Point], int, common.Point)


def test_ids(sample: SimpleNamespace) -> None:
    first, second = sample.interface.IFirst, sample.interface.ISecond
    assert (first.SERVICE_ID, second.SERVICE_ID) == (1, 7)
    assert (first.NOTHING_ID, first.MANYARGUMENTS_ID) == (1, 5)
    assert (second.DEFAULT_ID, second.NINTHMETHODOFTHEINTERFACE_ID) == (1, 9)
    assert sample.server.SecondService(None).service_id == 7


# Errors on the server's side.

FAILING = "program p interface S { Get(out uint32 x, in uint8 y) -> uint32; oneway Tell(uint8 y) }"


def service(load: Any, handler: Any) -> tuple[Any, Any]:
    package = load(FAILING)
    return package.server, package.server.SService(handler)


def invocation(arguments: bytes) -> BasicCodec:
    codec = BasicCodec()
    codec.buffer = bytearray(arguments)
    return codec


def fail(*arguments: Any) -> int:
    raise LookupError("the handler's own error")


def test_dispatch_lets_errors_pass(load: Any) -> None:
    module, failing = service(load, SimpleNamespace(Get=fail))
    with pytest.raises(LookupError, match="the handler's own error"):
        failing.dispatch(1, 5, invocation(b"\1"))
    with pytest.raises(Exception, match="unpack_from requires"):
        failing.dispatch(1, 5, invocation(b""))
    with pytest.raises(module.UnknownMethod, match="S has no method 3"):
        failing.dispatch(3, 5, invocation(b""))
    with pytest.raises(RequestError, match="the handler's own error"):
        failing.handle_invocation(1, 5, invocation(b"\1"))


def test_dispatch_leaves_the_reply_in_the_codec(load: Any) -> None:
    def get(x: Any, y: int) -> int:
        x.value = 258
        return y

    told: list[int] = []
    _, working = service(load, SimpleNamespace(Get=get, Tell=told.append))
    codec = invocation(b"\7")
    working.dispatch(1, 5, codec)
    assert codec.buffer == bytes.fromhex("02010101 05000000 02010000 07000000")
    codec = invocation(b"\7")
    working.dispatch(2, 6, codec)
    assert (codec.buffer, told) == (b"", [7])


def test_an_output_that_was_not_set_is_an_error(load: Any) -> None:
    _, forgetful = service(load, SimpleNamespace(Get=lambda x, y: 0))
    with pytest.raises(ValueError, match="Get did not set x"):
        forgetful.dispatch(1, 5, invocation(b"\1"))


# Any types at all.

SCALARS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
SCALARS += ["bool", "float", "double", "string", "binary"]


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A program with some structs and a method that uses a random type in all directions."""

    def types(known: list[str]) -> st.SearchStrategy[str]:
        return st.recursive(
            st.sampled_from(known),
            lambda inner: (
                inner.map("list<{}>".format)
                | st.tuples(inner, st.integers(1, 3)).map("{0[0]}[{0[1]}]".format)
            ),
            max_leaves=4,
        )

    lines, known = ["program p", "enum E { A, B = -7, C }"], [*SCALARS, "E"]
    for number in range(draw(st.integers(0, 3))):
        members = draw(st.lists(types(known), min_size=1, max_size=4))
        fields = " ".join(f"{type_} m{place};" for place, type_ in enumerate(members))
        lines.append(f"struct S{number} {{ {fields} }}")
        known.append(f"S{number}")
    type_ = draw(types(known))
    lines.append(f"interface I {{ Echo(in {type_} a, out {type_} b, inout {type_} c) -> {type_} }}")
    return "\n".join(lines)


def values(type_: model.Type, common: Any) -> st.SearchStrategy[Any]:
    if isinstance(type_, model.Enum):
        return st.integers(-(2**31), 2**31 - 1)
    if isinstance(type_, model.Struct):
        fields = {field.name: values(field.type, common) for field in type_.fields}
        return st.builds(getattr(common, type_.name), **fields)
    if isinstance(type_, model.ListOf):
        return st.lists(values(type_.element, common), max_size=3)
    if isinstance(type_, model.ArrayOf):
        element = values(type_.element, common)
        return st.lists(element, min_size=type_.count, max_size=type_.count)
    if "int" in type_.name:
        bits = int(type_.name.lstrip("uint"))
        least = 0 if type_.name[0] == "u" else -(1 << (bits - 1))
        return st.integers(least, least + (1 << bits) - 1)
    return {
        "bool": st.booleans(),
        "float": st.floats(width=32, allow_nan=False),
        "double": st.floats(allow_nan=False),
        "string": st.text(max_size=5),
        "binary": st.binary(max_size=5),
    }[type_.name]


@settings(max_examples=40, deadline=None)
@given(text=programs(), data=st.data())
def test_any_types_return_unchanged(
    load: Any, connect: Any, text: str, data: st.DataObject
) -> None:
    package = load(text)
    method = analyse(parse(Source("test.erpc", text))).interfaces[0].methods[0]
    some = values(method.parameters[0].type, package.common)
    a, b, c, c_after, result = (data.draw(some) for _ in range(5))

    def echo(got_a: Any, out_b: Any, inout_c: Any) -> Any:
        assert (got_a, inout_c.value) == (a, c)
        out_b.value, inout_c.value = b, c_after
        return result

    manager, _, server_end = connect(package.server.IService(SimpleNamespace(Echo=echo)))
    got_b, got_c = Reference(), Reference(c)
    assert package.client.IClient(manager).Echo(a, got_b, got_c) == result
    assert (got_b.value, got_c.value) == (b, c_after)
    assert not server_end.inbox
