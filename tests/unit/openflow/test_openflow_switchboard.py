"""Sessions against a switch that is played here: answers to their askers, in any order, and nothing waits for ever."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from ryu import cfg
from ryu.lib import hub
from ryu.ofproto import ofproto_parser, ofproto_v1_3, ofproto_v1_3_parser

from controller.dataplane.entries import MeterBody
from controller.measure.counted import Counted
from controller.openflow import meter_codec, port_codec
from controller.openflow.bundle import WHOLE, deliver_bundle
from controller.openflow.errors import ReplyOverdue, ReplyUnreadable, RequestRefused, SessionLost, SwitchError
from controller.openflow.listener import Switchboard, set_defaults
from controller.openflow.punts import Punt, encode_packet_out
from controller.openflow.session import SwitchSession
from controller.openflow.stats import FlowCounters, read_counters, read_rule_counters, read_table
from controller.openflow.wire import MAX_XID, Frame, Multipart, Type, message
from tests.support.other_thread import BURNT_S, burn_in_another_thread

Answer = Callable[[int, int, bytes], list[bytes]]  # type, xid and message of a request -> what the switch sends


def silent(kind: int, xid: int, request: bytes) -> list[bytes]:
    return []


def obedient(kind: int, xid: int, request: bytes) -> list[bytes]:
    return [message(Type.BARRIER_REPLY, xid, b"")] if kind == Type.BARRIER_REQUEST else []


def refuses(*refused: Callable[[int, bytes], bool]) -> Answer:
    """As `obedient`, but answers with an error where one of the tests holds for type and message."""

    def answer(kind: int, xid: int, request: bytes) -> list[bytes]:
        if any(test(kind, request) for test in refused):
            return [message(Type.ERROR, xid, struct.pack("!HH", 12, 6) + request[:64])]
        return obedient(kind, xid, request)

    return answer


class PlayedDatapath:
    """Ryu's Datapath with a switch behind it that answers from a green thread of its own."""

    def __init__(self, answer: Answer, xid: int = 1, datapath_id: int = 0xA):
        self.id, self.xid, self.closed = datapath_id, xid, False
        self.requests: list[tuple[int, int, bytes]] = []
        self.parse: Any = None
        self._answer = answer

    def send(self, buf: bytes) -> bool:
        if self.closed:
            return False
        while buf:
            _, kind, length, xid = struct.unpack_from("!BBHI", buf)
            request, buf = buf[:length], buf[length:]
            self.requests.append((kind, xid, request))
            for reply in self._answer(kind, xid, request):
                hub.spawn(self.arrive, reply)
        return True

    def arrive(self, reply: bytes) -> object:
        version, kind, length, xid = struct.unpack_from("!BBHI", reply)
        return self.parse(self, version, kind, length, xid, bytearray(reply))

    def close(self) -> None:
        self.closed = True


def unexpected(punt: Punt) -> None:
    raise AssertionError(f"{punt} was sent up")


def connected(
    answer: Answer, punted: Callable[[Punt], None] = unexpected, **datapath: int
) -> tuple[SwitchSession, PlayedDatapath]:
    played = PlayedDatapath(answer, **datapath)
    switchboard = Switchboard(punted)
    played.parse = switchboard._parse
    session, _ = switchboard.connect(played)
    return session, played


def meter(number: int, rate_kbps: int = 100) -> Frame:
    return partial(meter_codec.add_meter, meter_id=number, body=MeterBody(rate_kbps, 10))


def has_rate_zero(kind: int, request: bytes) -> bool:
    return kind == Type.METER_MOD and struct.unpack_from("!I", request, 20)[0] == 0


def test_errors_are_told_by_message() -> None:
    session, played = connected(refuses(has_rate_zero))
    errors = session.deliver([meter(1), meter(2, 0), meter(3), meter(4, 0)])
    assert errors == {1: SwitchError(12, 6), 3: SwitchError(12, 6)}
    assert [kind for kind, _, _ in played.requests] == [Type.METER_MOD] * 4 + [Type.BARRIER_REQUEST]
    assert len({xid for _, xid, _ in played.requests}) == 5


def test_nothing_to_deliver_sends_nothing() -> None:
    session, played = connected(silent)
    assert session.deliver([]) == {} and not played.requests


def test_two_green_threads_do_not_get_each_others_errors() -> None:
    session, _ = connected(refuses(has_rate_zero))
    threads = [hub.eventlet.spawn(session.deliver, [meter(1, rate)] * 300) for rate in (0, 100, 0)]
    assert [len(thread.wait()) for thread in threads] == [300, 0, 300]


def test_xids_wrap_without_zero() -> None:
    session, played = connected(obedient, xid=MAX_XID - 2)
    assert session.deliver([meter(1)] * 5) == {}
    assert all(0 < xid < MAX_XID for _, xid, _ in played.requests)


def test_a_switch_that_does_not_answer_is_not_waited_for() -> None:
    played = PlayedDatapath(silent)
    with pytest.raises(ReplyOverdue, match=r"switch 000000000000000a has not answered within 0\.05 s"):
        SwitchSession(played, answer_s=0.05).barrier()


def test_a_connection_that_ends_wakes_who_waits() -> None:
    session, played = connected(silent)
    waiting = hub.eventlet.spawn(session.barrier)
    hub.sleep(0)
    session.close()
    with pytest.raises(SessionLost, match="000000000000000a"):
        waiting.wait()
    assert played.closed and not session.alive
    with pytest.raises(SessionLost):
        session.barrier()


def test_a_refused_question() -> None:
    session, _ = connected(refuses(lambda kind, _: kind == Type.MULTIPART_REQUEST))
    with pytest.raises(RequestRefused, match=r"meter mod failed: bad rate \(OFPMMFC_BAD_RATE 12/6\)"):
        port_counters(session)


def port_counters(session: SwitchSession) -> list[int]:
    """The numbers of the ports that have counters."""
    request = port_codec.statistics_request()
    found: list[int] = read_table(session, Multipart.PORT_STATS, request, port_codec.decode_statistics).keys.tolist()
    return found


def port_reply(xid: int, number: int, more: bool) -> bytes:
    head = struct.pack("!HH4x", Multipart.PORT_STATS, more)
    return message(Type.MULTIPART_REPLY, xid, head + struct.pack("!I4x6Q56x", number, *[0] * 6))


def test_a_reply_without_parts_is_an_empty_table() -> None:
    class Wordless:
        def ask(self, request: Frame) -> list[bytes]:
            return []

    assert port_counters(Wordless()) == []  # type: ignore[arg-type]
    counters = read_counters(Wordless())  # type: ignore[arg-type]
    assert not len(counters.meters.keys) and not len(counters.ports.keys)


def test_what_another_native_thread_takes_is_not_the_cost_of_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = port_codec.decode_statistics

    def slowly(body: bytes) -> Counted:
        burn_in_another_thread()
        return decode(body)

    def empty(kind: int, xid: int, request: bytes) -> list[bytes]:
        """Nothing of what was asked for."""
        return [message(Type.MULTIPART_REPLY, xid, request[8:10] + bytes(6))]

    monkeypatch.setattr(port_codec, "decode_statistics", slowly)
    session, _ = connected(empty)
    assert 0 < read_counters(session).cpu_s < BURNT_S / 2


def test_a_reply_in_parts_is_one_answer() -> None:
    session, _ = connected(lambda _, xid, __: [port_reply(xid, number, number < 3) for number in (1, 2, 3)])
    assert port_counters(session) == [1, 2, 3]


def test_an_unreadable_reply_is_an_error_of_the_session() -> None:
    session, _ = connected(lambda _, xid, __: [port_reply(xid, 1, False)[:-1]])
    with pytest.raises(ReplyUnreadable, match="switch 000000000000000a: port reply of 111 bytes"):
        port_counters(session)


def flow_reply(xid: int, table: int, *counted: tuple[int, int, int]) -> bytes:
    """counted: cookie, packets and bytes of each entry."""
    entries = [
        struct.pack("!HBx20xQQQHH4x", 56, table, cookie, packets, size_bytes, 1, 4)
        for cookie, packets, size_bytes in counted
    ]
    return message(Type.MULTIPART_REPLY, xid, struct.pack("!HH4x", Multipart.FLOW, 0) + b"".join(entries))


def test_rule_counters_are_those_of_the_verdict_tables_by_cookie() -> None:
    def answer(kind: int, xid: int, request: bytes) -> list[bytes]:
        table = request[16]
        return [flow_reply(xid, table, (5, 1, 60), (6, 0, 0), (5, 2, 200))]

    session, played = connected(answer)
    of_one = {5: FlowCounters(3, 260), 6: FlowCounters(0, 0)}
    assert read_rule_counters(session) == {(table, cookie): of_one[cookie] for table in (32, 82) for cookie in of_one}
    assert len(played.requests) == 2


def test_unreadable_rule_counters_are_an_error_of_the_session() -> None:
    session, _ = connected(lambda _, xid, __: [flow_reply(xid, 32, (5, 1, 1))[:-1]])
    with pytest.raises(ReplyUnreadable, match="switch 000000000000000a: flow statistics"):
        read_rule_counters(session)


def experimenter(code: int) -> Callable[[int, bytes], bool]:
    """Whether a message is bundle control (2300) or add (2301)."""
    return lambda kind, request: kind == Type.EXPERIMENTER and struct.unpack_from("!I", request, 12)[0] == code


def bundle_verdicts(played: PlayedDatapath) -> list[int]:
    control = [request for kind, _, request in played.requests if experimenter(2300)(kind, request)]
    return [struct.unpack_from("!H", request, 20)[0] for request in control]


def test_a_bundle_is_committed() -> None:
    session, played = connected(obedient)
    assert deliver_bundle(session, [meter(1), meter(2)]) == {}
    assert bundle_verdicts(played) == [0, 4]  # open, commit


def test_a_bundle_with_a_bad_message_is_thrown_away() -> None:
    """Open vSwitch would commit the others."""
    bad = partial(meter_codec.add_meter, meter_id=1, body=MeterBody(100, 9))
    session, played = connected(refuses(lambda _, request: request.endswith(bad(0)[8:])))
    assert deliver_bundle(session, [meter(1), bad, meter(2)]) == {1: SwitchError(12, 6)}
    assert bundle_verdicts(played) == [0, 6]  # open, discard


def test_a_bundle_that_fails_as_it_is_committed_names_the_message() -> None:
    session, played = connected(obedient)
    added: list[int] = []

    def answer(kind: int, xid: int, request: bytes) -> list[bytes]:
        refusal = struct.pack("!HH", 5, 1)
        if experimenter(2301)(kind, request):
            added.append(xid)
        if experimenter(2300)(kind, request) and struct.unpack_from("!H", request, 20)[0] == 4:
            whole = struct.pack("!HHI", 0xFFFF, 2313, 0x4F4E4600)
            return [message(Type.ERROR, added[1], refusal), message(Type.ERROR, xid, whole)]
        return obedient(kind, xid, request)

    played._answer = answer
    assert deliver_bundle(session, [meter(1), meter(2)]) == {1: SwitchError(5, 1)}


def test_a_bundle_refused_as_a_whole() -> None:
    session, played = connected(refuses(experimenter(2300)))
    assert deliver_bundle(session, [meter(1)]) == {WHOLE: SwitchError(12, 6)}
    assert bundle_verdicts(played) == [0, 6]  # open, discard


def test_the_newest_connection_of_a_switch_has_the_session() -> None:
    switchboard = Switchboard(unexpected)
    old, new = PlayedDatapath(silent), PlayedDatapath(silent)
    first, nothing = switchboard.connect(old)
    second, replaced = switchboard.connect(new)
    assert nothing is None and replaced is first and second is not first
    assert switchboard.disconnect(old) is None  # its end comes late and means nothing
    assert switchboard.disconnect(new) is second and not second.alive
    assert switchboard.disconnect(new) is None


def test_what_ryu_cannot_parse_does_not_end_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    _, played = connected(silent)
    assert played.arrive(message(Type.MULTIPART_REPLY, 5, b"")) is None
    assert "Ryu cannot parse a message of type 19" in caplog.text


def test_an_error_nobody_waits_for_is_logged_and_left_to_ryu(caplog: pytest.LogCaptureFixture) -> None:
    _, played = connected(silent)
    parsed = played.arrive(message(Type.ERROR, 5, struct.pack("!HH", 4, 9)))
    assert isinstance(parsed, ofproto_v1_3_parser.OFPErrorMsg)
    assert "error nobody waits for (xid 0x5): bad match: bad prereq" in caplog.text


def test_an_echo_request_under_one_of_our_xids_is_ryus() -> None:
    session, played = connected(silent)
    with session.batch(10):
        parsed = played.arrive(struct.pack("!BBHI", 4, 2, 8, 3))
    assert isinstance(parsed, ofproto_v1_3_parser.OFPEchoRequest)


def packet_in(cookie: int, fields: bytes, frame: bytes = b"frame", reason: int = 1) -> bytes:
    match = struct.pack("!HH", 1, 4 + len(fields)) + fields
    head = struct.pack("!IHBBQ", 0xFFFFFFFF, len(frame), reason, 32, cookie)
    return message(Type.PACKET_IN, 0, head + match + bytes(-len(match) % 8 + 2) + frame)


FROM_PORT_3 = bytes.fromhex("80000004 00000003")
REGISTERS = bytes.fromhex("00010004 00000005 00011e04 00000007 0001d308 00000030 000000ff")  # reg0, reg15, ct_state
OURS = 0x5EE1_0500_0000_0005


def test_a_packet_that_is_sent_up_is_told_with_what_the_switch_knew() -> None:
    punts: list[Punt] = []
    _, played = connected(silent, punts.append)
    assert played.arrive(packet_in(OURS, FROM_PORT_3 + REGISTERS)) is None
    assert punts == [Punt("000000000000000a", OURS, 32, 3, {"reg0": 5, "reg15": 7}, b"frame")]


def test_a_packet_that_anothers_entry_sends_up_is_ryus() -> None:
    _, played = connected(silent)
    assert isinstance(played.arrive(packet_in(0x77, FROM_PORT_3)), ofproto_v1_3_parser.OFPPacketIn)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (message(Type.PACKET_IN, 0, bytes(19)), "cut short"),
        (packet_in(OURS, FROM_PORT_3, b"")[:-3], "impossible match"),
        (packet_in(OURS, FROM_PORT_3[:-1]), "ends inside a field"),
        (packet_in(OURS, b""), "without the port"),
    ],
)
def test_an_unreadable_packet_in_is_logged_and_forgotten(
    sent: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, played = connected(silent)
    assert played.arrive(sent) is None
    assert "switch 000000000000000a: " in caplog.text and words in caplog.text


def test_a_fault_in_dealing_with_a_packet_does_not_end_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    _, played = connected(silent)
    assert played.arrive(packet_in(OURS, FROM_PORT_3)) is None
    assert "could not be dealt with" in caplog.text and "AssertionError" in caplog.text


def test_a_frame_is_sent_down_while_there_is_a_connection() -> None:
    session, played = connected(silent)
    session.packet_out(7, b"frame")
    session.flood((7, 9), b"frame")
    hub.sleep(0)
    assert [(kind, request) for kind, _, request in played.requests] == [
        (Type.PACKET_OUT, encode_packet_out(xid, ports, b"frame"))
        for ports, (_, xid, _) in zip(((7,), (7, 9)), played.requests, strict=True)
    ]
    session.close()
    session.packet_out(7, b"frame")
    hub.sleep(0)
    assert len(played.requests) == 2


def test_frames_that_the_switch_does_not_take_hold_nobody_up() -> None:
    """The oldest are lost; what has begun to be sent is not."""
    session, played = connected(silent)
    takes, room = [], hub.Event()

    def send(buf: bytes) -> bool:
        room.wait()
        takes.append(int.from_bytes(buf[-2:], "big"))
        return True

    played.send = send  # type: ignore[method-assign]
    session.packet_out(7, b"\0\0")
    hub.sleep(0)
    for number in range(1, 1001):
        session.packet_out(7, number.to_bytes(2, "big"))
    assert takes == []
    room.set()
    hub.sleep(0)
    assert takes == [0, *range(1001 - 256, 1001)]
    session.packet_out(7, b"\0\1")
    hub.sleep(0)
    assert takes[-1] == 1


def test_attach_takes_the_place_of_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ofproto_parser, "_MSG_PARSERS", dict(ofproto_parser._MSG_PARSERS))
    switchboard = Switchboard(unexpected)
    switchboard.attach()
    assert ofproto_parser._MSG_PARSERS[ofproto_v1_3.OFP_VERSION] == switchboard._parse


def test_defaults_give_way_to_the_command_line() -> None:
    """In the order of ryu-manager: it reads its command line, then imports the application."""
    cfg.CONF(["--ofp-tcp-listen-port", "6699", "--ofp-listen-host", "127.0.0.9"], project="ryu")
    try:
        set_defaults()
        assert (cfg.CONF.ofp_tcp_listen_port, cfg.CONF.ofp_listen_host) == (6699, "127.0.0.9")
        assert (cfg.CONF.socket_timeout, cfg.CONF.maximum_unreplied_echo_requests) == (60.0, 3)
        cfg.CONF([], project="ryu")
        set_defaults()
        assert cfg.CONF.ofp_listen_host == "127.0.0.1"
    finally:
        cfg.CONF.reset()
