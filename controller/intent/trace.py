"""What the policy says to one packet: who judges it, by which rule, and what it passes on its way. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from controller.compiler.rule_meters import MeterUse
from controller.intent.errors import Rejected
from controller.intent.explain_target import meter_purpose
from controller.intent.on_paper import Compiled
from controller.intent.queues import INSTANCE, PORT, QueueKey, queues_of, uplink_place
from controller.intent.trace_gates import Fate, Gate, at_receiver, at_sender, is_asked_of_weir
from controller.intent.trace_question import Question
from controller.intent.trace_route import Way, is_to_many, peer_of, way_of
from controller.world.desired import World
from ovsdb.rows import VirtualInterface
from policies.classes import code_points, uses_classes
from policies.identity import Party
from policies.model import NORMAL, Direction
from policies.semantics import Packet, Step, Verdict, judge, walk
from policies.ways_out import outward_uplink
from policies.wording import nearest

_ANSWERED = "the router answers the ping, and it goes to nobody else; the answer passes as a reply"
CompiledAt = Callable[[str], Compiled]
_ASKED = "Weir answers it itself, and it goes to nobody else: the VIF's addresses are those that Weir gave it"


@dataclass(frozen=True, slots=True)
class SideAnswer:
    """The judgement of one VIF. meters: ids by what they are for, of those that the packet passes or uses up.

    queues: that the packet waits in on this VIF's side, in its order. is_reached: whether the packet comes so far.
    """

    vif: str
    direction: Direction
    verdict: Verdict
    steps: tuple[Step, ...]
    meters: Mapping[int, str]
    queues: tuple[QueueKey, ...]
    is_reached: bool

    @property
    def passes(self) -> bool:
        return self.verdict.allows

    @property
    def mark(self) -> int | None:
        return self.verdict.mark


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A VIF that asks no rule about the packet: it is served or dropped whatever the policy says, or that is not told.

    mark: the DSCP that is written into it if it passes. is_reached: as of SideAnswer.
    """

    vif: str
    direction: Direction
    gate: Gate
    mark: int | None
    is_reached: bool

    @property
    def passes(self) -> bool | None:
        """None: not told."""
        return None if self.gate.fate is Fate.UNTOLD else self.gate.fate is Fate.SERVED


Stage = SideAnswer | Unjudged


@dataclass(frozen=True, slots=True)
class _Asked:
    """lost: why it cannot come to its receiver. leaves: whether the packet goes outside, or to many."""

    packet: Packet
    world: World
    compiled_at: CompiledAt
    lost: str | None
    leaves: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """stages: the VIFs that the packet has to do with, the sender first. sender, receiver: VIFs, None: outside (or
    nobody).

    is_to_many: a sender's packet for everybody in its segment. is_asked: a sender's request that Weir itself answers;
    it goes nowhere else. way: what the router has to do with it.
    """

    question: Question
    sender: str | None
    receiver: str | None
    is_to_many: bool
    is_asked: bool
    way: Way
    stages: tuple[Stage, ...]
    notes: tuple[str, ...]

    @property
    def sides(self) -> tuple[SideAnswer, ...]:
        """The judgements."""
        return tuple(stage for stage in self.stages if isinstance(stage, SideAnswer))

    @property
    def unjudged(self) -> tuple[Unjudged, ...]:
        return tuple(stage for stage in self.stages if isinstance(stage, Unjudged))

    @property
    def passes(self) -> bool | None:
        """None: not told."""
        fates = [stage.passes for stage in self.stages] + ([False] if self.way.lost else [])
        return False if False in fates else None if None in fates else True

    @property
    def dscp(self) -> int:
        """What the packet arrives with, if it carries none of its own."""
        marks = [stage.mark for stage in self.stages if stage.mark is not None]
        return marks[-1] if marks and self.passes else 0


def answer(question: Question, world: World, compiled_at: CompiledAt) -> Answer:
    """compiled_at: what the switch of a chassis should hold. Raises Rejected when there is no such VIF or packet."""
    asked = _party(question.vif, world)
    sends = question.direction is Direction.EGRESS
    other = peer_of(asked, question.packet, sends, world)
    if other is not None and other.name == asked.name:
        raise Rejected([f"both addresses are those of VIF '{asked.name}': such a packet never leaves its instance."])
    sender, receiver = (asked, other) if sends else (other, asked)
    is_served = sender is not None and is_asked_of_weir(question.packet) and _is_served(sender, world, compiled_at)
    if is_served:
        receiver = None
    to_many = (
        not is_served
        and sender is not None
        and receiver is None
        and is_to_many(question.packet.destination, sender, world)
    )
    way = Way() if is_served or to_many else way_of(question.packet, sender, receiver, world)
    is_asked = is_served or way.is_answered
    leaves = receiver is None and not is_asked and way.lost is None
    asked_about = _Asked(question.packet, world, compiled_at, way.lost, leaves)
    return Answer(
        question=question,
        sender=sender.name if sender else None,
        receiver=receiver.name if receiver else None,
        is_to_many=to_many,
        is_asked=is_asked,
        way=way,
        stages=tuple(_stages(asked_about, sender, receiver)),
        notes=(
            *((_ASKED,) if is_served else ()),
            *((_ANSWERED,) if way.is_answered else ()),
            *((f"the packet does not arrive: {way.lost}",) if way.lost else ()),
            *_notes(to_many and _is_judged_by_many(question.packet), (sender, receiver), world),
        ),
    )


def receives(packet: Packet, name: str, world: World) -> bool:
    """Whether a VIF lets in what another one of its bridge sent to many."""
    if not _is_judged_by_many(packet):
        return at_receiver(packet, is_from_outside=False).fate is Fate.SERVED
    party = world.identities.parties[name]
    return judge(world.policies, world.identities, party, Direction.INGRESS, packet).allows


def _party(name: str, world: World) -> Party:
    if name not in world.identities.parties:
        near = nearest(name, world.identities.parties)
        raise Rejected([f"there is no VIF '{name}'. " + (f"Did you mean '{near}'?" if near else "See weir vif list.")])
    party = world.identities.parties[name]
    if party.policy not in world.policies.nodes:
        raise Rejected([f"VIF '{name}': its policy '{party.policy}' is not there any more. Apply one that has it."])
    return party


def _stages(asked: _Asked, sender: Party | None, receiver: Party | None) -> Iterator[Stage]:
    """Both are told, also where the first does not let it through to the second."""
    is_reached = sender is not None or asked.lost is None
    for party, direction, gate in _gates(asked, sender, receiver):
        stage: Stage = Unjudged(party.name, direction, gate, _normal_mark(party, asked.world), is_reached)
        if gate.fate is Fate.JUDGED:
            stage = _judged(asked, party, direction, is_reached)
        yield stage
        is_reached = is_reached and stage.passes is not False and asked.lost is None


def _gates(asked: _Asked, sender: Party | None, receiver: Party | None) -> Iterator[tuple[Party, Direction, Gate]]:
    vifs = asked.world.snapshot.interfaces
    if sender is not None:
        segment = asked.world.policies.segments.get(sender.segment)
        yield sender, Direction.EGRESS, at_sender(asked.packet, sender, segment is not None and segment.learns)
    if receiver is not None:
        from_outside = sender is None or vifs[sender.name].chassis != vifs[receiver.name].chassis
        yield receiver, Direction.INGRESS, at_receiver(asked.packet, from_outside)


def _normal_mark(party: Party, world: World) -> int | None:
    return code_points(world.policies)[NORMAL] if uses_classes(world.policies, party.policy) else None


def _judged(asked: _Asked, party: Party, direction: Direction, is_reached: bool) -> SideAnswer:
    world = asked.world
    vif = world.snapshot.interfaces[party.name]
    verdict = judge(world.policies, world.identities, party, direction, asked.packet)
    queues = tuple(_queues(vif, direction, verdict, world, asked.leaves)) if verdict.allows else ()
    return SideAnswer(
        vif=party.name,
        direction=direction,
        verdict=verdict,
        steps=walk(world.policies, world.identities, party, direction, asked.packet),
        meters=dict(_meters(vif, direction, verdict, world, asked.compiled_at)),
        queues=queues,
        is_reached=is_reached,
    )


def _meters(
    vif: VirtualInterface, direction: Direction, verdict: Verdict, world: World, compiled_at: CompiledAt
) -> Iterator[tuple[int, str]]:
    chassis = vif.chassis or ""
    own = compiled_at(chassis) if chassis in world.snapshot.chassis else Compiled()
    ids = own.meter_ids(vif.number)
    counted = [("audited rule", rule) for rule in verdict.audited]
    if verdict.allows and verdict.rule is not None:
        counted.append(("rule", verdict.rule))
    for kind, rule in counted:
        number = world.numbers.get(("rule", rule.identity), 0)
        for unit, what in (("kbps", "rate"), ("pps", "packet rate")):
            found = ids.get(MeterUse(vif.number, number, direction.value, unit))
            if found is not None:
                yield found, f"{what} of {kind} {rule.identity}"
    if verdict.allows and direction is Direction.EGRESS and vif.number in own.state.meters:
        yield vif.number, f"egress rate of VIF {vif.name}"
    for meter in own.bounds.of(vif.number, direction) if verdict.allows else ():
        yield meter, meter_purpose(meter, own.use_of(meter), vif.name, world)


def _queues(
    vif: VirtualInterface, direction: Direction, verdict: Verdict, world: World, leaves: bool
) -> Iterator[QueueKey]:
    """leaves: whether the packet goes outside. Of a VIF with traffic classes, the class's queue."""
    known = queues_of(world.policies, [vif])
    if direction is Direction.EGRESS:
        uplink = outward_uplink(world.policies, vif.segment)
        places = [INSTANCE]
        places += [uplink_place(uplink)] if uplink and leaves else []
    else:
        places = [PORT]
    for place in places:
        key = QueueKey(vif.chassis or "", place, vif.name)
        of_class = QueueKey(vif.chassis or "", place, vif.name, _class_of(verdict, world))
        if key in known:
            yield of_class if of_class in known else key


def _class_of(verdict: Verdict, world: World) -> str:
    """By the code point, which is what decides; a rule's own one is that of the rule's class."""
    if verdict.rule is not None and verdict.rule.traffic_class is not None:
        return verdict.rule.traffic_class
    if verdict.mark is None:
        return NORMAL
    marks = {mark: name for name, mark in code_points(world.policies).items()}
    return marks.get(verdict.mark, NORMAL)


def _is_served(sender: Party, world: World, compiled_at: CompiledAt) -> bool:
    chassis = world.snapshot.interfaces[sender.name].chassis
    if chassis is None or chassis not in world.snapshot.chassis:
        return False
    return any(vif.number == sender.number and vif.is_served for vif in compiled_at(chassis).bridge.vifs)


def _is_judged_by_many(packet: Packet) -> bool:
    return at_receiver(packet, is_from_outside=False).fate is Fate.JUDGED


def _notes(by_many: bool, parties: tuple[Party | None, Party | None], world: World) -> Iterator[str]:
    """What the answer leaves out, and a change that is under way."""
    if by_many:
        yield "every VIF of the segment that it reaches judges it as ingress for itself"
    snapshot = world.snapshot
    hosts = {snapshot.interfaces[party.name].chassis for party in parties if party is not None}
    for host in (snapshot.chassis[name] for name in sorted(filter(None, hosts)) if name in snapshot.chassis):
        if min(host.agent_cfg, host.flow_cfg) < snapshot.cfg:
            yield (
                f"a change is under way on {host.name}: agent at {host.agent_cfg} and flows at {host.flow_cfg} "
                f"of {snapshot.cfg}; what its switch says may be of before"
            )
