"""What is read back is what was sent; what somebody else wrote is neither lost nor mistaken for ours."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import astuple
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dataplane.actions import (
    Action,
    Clone,
    Conjunction,
    Conntrack,
    Controller,
    DecrementTtl,
    Instructions,
    IsLarger,
    Learn,
    Move,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
    SetQueue,
)
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, PacketMeterBody
from controller.dataplane.fields import FIELDS, Field
from controller.dataplane.match import Match, match
from controller.openflow import action_codec, bundle_codec, flow_codec, meter_codec, oxm, port_codec
from controller.openflow.action_codec import ForeignInstructions
from controller.openflow.errors import SwitchError, decode_error
from controller.openflow.meter_codec import ForeignMeter, MeterCounters
from controller.openflow.wire import (
    Multipart,
    Type,
    WireError,
    message,
    more_follows,
    multipart_body,
    multipart_request,
)


def values(field: Field) -> st.SearchStrategy[int]:
    return st.integers(0, field.all_ones)


def matched(field: Field) -> st.SearchStrategy[int | tuple[int, int]]:
    exact = values(field)
    return st.one_of(exact, st.tuples(exact, values(field))) if field.maskable else exact


matches = st.fixed_dictionaries(
    {}, optional={name: matched(field) for name, field in FIELDS.items() if field.is_matched}
).map(lambda fields: match(**fields))
settings_of_a_field = st.sampled_from(list(FIELDS.values())).flatmap(
    lambda field: values(field).map(lambda value: SetField(field.name, value))
)
tables = st.integers(0, 254)
sources = st.tuples(*[st.sampled_from(list(FIELDS))] * 2).filter(
    lambda names: FIELDS[names[0]].bits <= FIELDS[names[1]].bits
)
learned_constants = st.sampled_from(list(FIELDS.values())).flatmap(
    lambda field: values(field).map(lambda value: (field.name, value))
)
learned = st.lists(learned_constants | sources.map(lambda names: (names[1], names[0])), max_size=4).map(tuple)
registers = st.sampled_from(["reg0", "reg1"])
single_actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(Output, st.none() | st.integers(1, 0xFFFFFFF7)),
    settings_of_a_field,
    st.builds(lambda names: Move(*names), sources),
    st.just(DecrementTtl()),
    st.builds(IsLarger, st.integers(0, 0xFFFF), registers, st.integers(0, 31)),
    st.builds(
        Learn,
        tables,
        st.integers(0, 0xFFFF),
        st.integers(0, 2**64 - 1),
        learned,
        learned,
        st.integers(0, 0xFFFF),
        st.integers(1, 2**32 - 1),
    ),
    st.just(PushVlan()),
    st.just(PopVlan()),
    st.builds(SetQueue, st.integers(0, 2**32 - 1)),
    st.builds(Resubmit, tables),
    st.builds(Conntrack, registers | st.integers(0, 0xFFFF), st.none() | tables, st.booleans()),
    st.builds(Conjunction, st.integers(0, 2**32 - 1), st.integers(1, 64), st.integers(2, 64)),
    st.builds(Controller, st.integers(0, 65535), st.integers(1, 2**32 - 1)),
)


def clones(inner: st.SearchStrategy[Action]) -> st.SearchStrategy[Action]:
    return st.builds(Clone, st.lists(inner, max_size=3).map(tuple))


actions = single_actions | clones(single_actions | clones(single_actions))
instructions = st.builds(
    Instructions, st.none() | st.integers(1, 65535), st.lists(actions, max_size=6).map(tuple), st.none() | tables
)
keys = st.builds(FlowKey, tables, st.integers(0, 65535), matches)
bodies = st.builds(FlowBody, st.integers(0, 2**64 - 1), instructions)


def as_statistics(key: FlowKey, body: FlowBody, timeouts_and_flags: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    """One entry of a flow statistics reply, made of the flow-mod that adds it."""
    flow_mod = flow_codec.add_flow(1, key, body)[8 + 40 :]
    idle_s, hard_s, flags = timeouts_and_flags
    head = struct.pack("!HBxIIHHHH4xQQQ", 48 + len(flow_mod), key.table, 7, 8, key.priority, idle_s, hard_s, flags,
                       body.cookie, 5, 6)  # fmt: skip
    return head + flow_mod


@given(matches)
def test_a_match_comes_back(given_match: Match) -> None:
    assert oxm.decode_match(oxm.encode_match(given_match)) == given_match


@given(instructions)
def test_instructions_come_back(given_instructions: Instructions) -> None:
    data = action_codec.encode_instructions(given_instructions)
    assert len(data) % 8 == 0
    assert action_codec.decode_instructions(data) == given_instructions


@given(st.lists(st.tuples(keys, bodies), max_size=5))
def test_flow_entries_come_back(entries: list[tuple[FlowKey, FlowBody]]) -> None:
    reply = b"".join(as_statistics(key, body) for key, body in entries)
    assert list(flow_codec.decode_flows(reply)) == entries


@given(keys, bodies, st.data())
def test_a_reply_cut_short_is_an_error(key: FlowKey, body: FlowBody, data: st.DataObject) -> None:
    reply = as_statistics(key, body)
    cut = data.draw(st.integers(1, len(reply) - 1))
    with pytest.raises(WireError):
        list(flow_codec.decode_flows(reply[:cut]))


@given(st.binary(max_size=200))
def test_noise_is_an_error_and_nothing_else(noise: bytes) -> None:
    decoders = (flow_codec.decode_flows, flow_codec.decode_counters, meter_codec.decode_configuration,
                partial(meter_codec.decode_statistics, ids=range(1 << 32)))  # fmt: skip
    for decode in decoders:
        with suppress(WireError):
            list(decode(noise))
    for table in (partial(meter_codec.decode_table, ids=range(1 << 32)), port_codec.decode_statistics):
        with suppress(WireError):
            table(noise)


@given(st.lists(st.sampled_from([0, 1, 3, 4, 8, 0x80, 0xFF]), max_size=40).map(bytes))
def test_noise_in_a_match_is_an_error_and_nothing_else(noise: bytes) -> None:
    with suppress(WireError):
        oxm.decode_match(noise)


@given(st.lists(st.sampled_from([0, 1, 4, 8, 16, 24, 25, 0x23, 0x20, 34, 37, 42, 45, 0xFF]), max_size=40).map(bytes))
def test_noise_in_instructions_is_an_error_and_nothing_else(noise: bytes) -> None:
    for data in (noise, struct.pack("!HH4x", 4, 8 + len(noise)) + noise):
        with suppress(WireError):
            action_codec.decode_instructions(data)


@pytest.mark.parametrize("action", [Move("ipv6_src", "reg0"), Learn(54, 1, 0, (("reg0", "eth_src"),), (), 1, 1)])
def test_a_field_does_not_go_into_a_narrower_one(action: Action) -> None:
    with pytest.raises(ValueError, match="is wider than reg0"):
        action_codec.encode_actions([action])


def test_clones_within_clones_without_end_are_somebody_elses() -> None:
    data = bytes.fromhex("0000001000000001 0000000000000000")
    for _ in range(2000):
        data = struct.pack("!HHIH6x", 0xFFFF, 16 + len(data), 0x2320, 42) + data
    found = action_codec.decode_instructions(struct.pack("!HH4x", 4, 8 + len(data)) + data)
    assert isinstance(found, ForeignInstructions)


def test_prerequisites_come_first() -> None:
    """Open vSwitch refuses arp_op before eth_type."""
    data = oxm.encode_match(match(arp_op=1, eth_type=0x0806, ct_nw_dst=5, ct_state=(0x20, 0x20), in_port=1))
    fields = [oxm.decode_match(data[at : at + size]).fields[0][0] for at, size in ((0, 6), (6, 12))]
    assert fields == ["eth_type", "ct_state"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (bytes.fromhex("80001201") + b"\x05", "oxm_80001201"),  # ip_ecn
        (bytes.fromhex("00010d04") + b"\0\x05\0\x07", "oxm_00010c02"),
        (bytes.fromhex("ffff5406") + b"ONF\0" + b"\0\x05", "oxm_ffff54064f4e4600"),
        (bytes.fromhex("ffff5508") + b"ONF\0" + b"\0\x05\0\x07", "oxm_ffff54064f4e4600"),
    ],
)
def test_a_foreign_field_keeps_its_bytes(data: bytes, name: str) -> None:
    foreign = oxm.decode_match(data)
    assert foreign.fields[0][0] == name and foreign.fields[0][1] == 5
    assert oxm.encode_match(foreign) == data


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no match field is called 'nonsense'"):
        oxm.encode_match(Match((("nonsense", 1, 1),)))


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("00030018 00000000 0000001000000001ffff000000000000"),  # write-actions
        bytes.fromhex("00040010 00000000 0016000800000007"),  # group:7
        bytes.fromhex("00040018 00000000 ffff001000002320000effff28000000"),  # resubmit of another port
        bytes.fromhex("00040020 00000000 ffff0018000023200023000200000000000000280000000000000000"),  # ct(force)
        bytes.fromhex("00040018 00000000 00190010800012010100000000000000"),  # set of an unknown field
        bytes.fromhex("00040010 00000000 0011000888a80000"),  # push of a service tag
        bytes.fromhex("00040020 00000000 ffff0018000023200025000000000000 0003000601020000"),  # controller(userdata)
        bytes.fromhex("00040028 00000000 ffff0020000023200025000000000000 0002000801000000 0005000800000009"),  # reason
        bytes.fromhex("00040018 00000000 ffff0010000023200014ffff00000000"),  # the older controller action
        bytes.fromhex("00040018 00000000 ffff0010000023200025000000000000"),  # controller without a meter
        bytes.fromhex("00040020 00000000 ffff001800002320002a000000000000 0016000800000007"),  # clone(group:7)
        bytes.fromhex("00040018 00000000 ffff001000002320002a000000000001"),  # clone with dirty padding
        bytes.fromhex("00040010 00000000 0018000800000001"),  # dec_ttl with dirty padding
        # move of a part: NXM_OF_ETH_SRC[0..15] -> NXM_NX_REG2[], and NXM_OF_ETH_SRC[] -> NXM_NX_REG2[]
        bytes.fromhex("00040020 00000000 ffff0018 00002320 00060010 00000000 00000406 00010404"),
        bytes.fromhex("00040020 00000000 ffff0018 00002320 00060030 00000000 00000406 00010404"),
        # move from a bit that is not the lowest
        bytes.fromhex("00040020 00000000 ffff0018 00002320 00060020 00040000 00002004 0001e410"),
        # learn that writes its result, that learns a part of a field, and that has a hard timeout
        bytes.fromhex(
            "00040048 00000000 ffff0040 00002320 002d012c 00000064 5ee20000 00000007 00083600 00000000 000003e8"
            "00000000 00010001 04040000 00010404 00000000 00000000 00000000"
        ),
        bytes.fromhex(
            "00040040 00000000 ffff0038 00002320 002d012c 00000064 5ee20000 00000007 00003600 00000000 000003e8"
            "00000000 00100001 04040000 00010404 00000000"
        ),
        bytes.fromhex(
            "00040030 00000000 ffff0028 00002320 002d012c 00090064 5ee20000 00000007 00003600 00000000 000003e800000000"
        ),
    ],
)
def test_what_we_never_write_equals_nothing_we_want(data: bytes) -> None:
    found = action_codec.decode_instructions(data[: struct.unpack_from("!H", data, 2)[0]])
    assert isinstance(found, ForeignInstructions)
    assert found != Instructions(found.meter_id, found.apply, found.goto)


@pytest.mark.parametrize("timeouts_and_flags", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_an_entry_that_expires_is_not_ours(timeouts_and_flags: tuple[int, int, int]) -> None:
    key, body = FlowKey(0, 1, match()), FlowBody(1, Instructions(goto=10))
    ((found_key, found_body),) = flow_codec.decode_flows(as_statistics(key, body, timeouts_and_flags))
    assert found_key == key and found_body != body


def test_meters_come_back() -> None:
    band = struct.pack("!HHII4x", 1, 16, 1000, 50)
    remark = struct.pack("!HHIIB3x", 2, 16, 1000, 50, 1)
    entry = struct.Struct("!HHI")
    reply = (
        entry.pack(24, 0xD, 1) + band
        + entry.pack(24, 0xE, 2) + band  # pktps
        + entry.pack(40, 0xD, 3) + band + band
        + entry.pack(24, 0xD, 4) + remark
        + entry.pack(8, 0xD, 5)
        + entry.pack(24, 0xF, 6) + band  # kbps and pktps
    )  # fmt: skip
    found = dict(meter_codec.decode_configuration(reply))
    assert found[1] == MeterBody(1000, 50) and found[2] == PacketMeterBody(1000, 50)
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert all(isinstance(found[number], ForeignMeter) for number in (3, 4, 5, 6))
    assert len({found[number] for number in (3, 4, 5, 6)}) == 4


def test_meter_counters() -> None:
    reply = meter_statistics(7, (10, 200), (1, 20))
    assert counters_of(reply) == {7: MeterCounters(100, 2000, 11, 220, 5.5)}


COUNTS = st.tuples(st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 63) - 1))


@given(st.lists(st.tuples(st.integers(1, 20), st.lists(COUNTS, min_size=1, max_size=2)), unique_by=lambda m: m[0]))
def test_meters_as_a_table_are_those_one_by_one(meters: list[tuple[int, list[tuple[int, int]]]]) -> None:
    """Most have one band, but others may come between."""
    reply = b"".join(meter_statistics(number, *bands) for number, bands in meters)
    table = meter_codec.decode_table(reply, range(2, 10)).rows()
    assert {number: astuple(one)[:4] for number, one in counters_of(reply).items()} == table


def test_counters_of_other_meters_are_passed_over() -> None:
    """A switch may hold many thousand of them."""
    reply = b"".join(meter_statistics(number, (1, 1)) for number in (70_000, 7, 99_999, 8, 1))
    assert sorted(counters_of(reply)) == [7, 8]
    for cut in (1, 40, 56):
        with pytest.raises(WireError):
            counters_of(meter_statistics(70_000, (1, 1), (2, 2))[:-cut])


def meter_statistics(number: int, *bands: tuple[int, int]) -> bytes:
    """Of one meter. bands: packets and bytes dropped."""
    head = struct.pack("!IH6xIQQII", number, 40 + 16 * len(bands), 3, 100, 2000, 5, 500_000_000)
    return head + b"".join(struct.pack("!QQ", *band) for band in bands)


def counters_of(reply: bytes) -> dict[int, MeterCounters]:
    return dict(meter_codec.decode_statistics(reply, range(2, 10)))


def test_flow_counters_are_read_alone() -> None:
    entries = [
        (FlowKey(32, 1, match()), FlowBody(7, Instructions())),
        (FlowKey(82, 2, match(reg0=5, ip_dscp=46)), FlowBody(2**64 - 1, Instructions(9, (Output(1),), 40))),
        (FlowKey(32, 3, match(reg0=5)), FlowBody(7, Instructions(goto=40))),
    ]
    reply = b"".join(as_statistics(key, body) for key, body in entries)
    assert list(flow_codec.decode_counters(reply)) == [(key.table, body.cookie, 5, 6) for key, body in entries]
    for cut in (1, 16, 55):
        with pytest.raises(WireError, match="impossible length"):
            list(flow_codec.decode_counters(reply[:-cut]))


def test_port_counters_and_what_a_port_cannot_count() -> None:
    unknown = 2**64 - 1
    reply = struct.pack("!I4x12QII", 3, 1, 2, 3, 4, unknown, 6, *[0] * 6, 9, 9)
    assert port_codec.decode_statistics(reply).rows() == {3: (1, 2, 3, 4, 0, 6)}


def test_multipart_framing() -> None:
    request = multipart_request(Multipart.PORT_STATS, b"12345678")(9)
    assert request[1] == Type.MULTIPART_REQUEST and not more_follows(request)
    part = message(Type.MULTIPART_REPLY, 9, struct.pack("!HH4x", Multipart.METER, 1) + b"body")
    assert more_follows(part) and multipart_body(part, Multipart.METER) == b"body"
    with pytest.raises(WireError, match="FLOW"):
        multipart_body(part, Multipart.FLOW)
    with pytest.raises(WireError, match="FLOW"):
        multipart_body(message(Type.BARRIER_REPLY, 9, b""), Multipart.FLOW)


def test_a_bundle_repeats_the_xid_inside() -> None:
    added = bundle_codec.add(5, lambda xid: message(Type.FLOW_MOD, xid, b""))(0xABCD)
    assert struct.unpack_from("!I", added, 4) == struct.unpack_from("!I", added, 24 + 4) == (0xABCD,)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SwitchError(4, 9), "bad match: bad prereq (OFPBMC_BAD_PREREQ 4/9)"),
        (SwitchError(12, 2), "meter mod failed: invalid meter (OFPMMFC_INVALID_METER 12/2)"),
        (SwitchError(4, 99), "bad match: unknown error (Unknown 4/99)"),
        (SwitchError(0xFFFF, 2313, 0x4F4E4600), "bundle refused: failed (ONF error 2313)"),
        (SwitchError(0xFFFF, 7, 0x2320), "refused by extension 0x00002320 with its error 7"),
    ],
)
def test_errors_in_words(error: SwitchError, words: str) -> None:
    assert str(error) == words


def test_errors_on_the_wire() -> None:
    assert decode_error(message(Type.ERROR, 1, struct.pack("!HH", 4, 9) + b"request")) == SwitchError(4, 9)
    experimenter = struct.pack("!HHI", 0xFFFF, 2313, 0x4F4E4600)
    assert decode_error(message(Type.ERROR, 1, experimenter)) == SwitchError(0xFFFF, 2313, 0x4F4E4600)
    assert decode_error(message(Type.ERROR, 1, b"")) == SwitchError(0, 0)
