"""What a node says beside bandwidth and rules: buffer, CPU, queues, objectives, congestion, autoscaling. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from policies import units
from policies.bandwidths import WrittenBandwidth
from policies.errors import BadValue
from policies.grammar import AUTOSCALE, CONGESTION, LEAF_QUEUE, OBJECTIVES, SPAN
from policies.model import Autoscale, Bandwidth, Congestion, Direction, LeafQueue, Objectives, Span, Threshold
from policies.reader import Reader, whole_number
from policies.source import Fields, Tree
from policies.units import rate_text
from policies.wording import quoted

MOST_QUEUES = 1024


def read_buffer(reader: Reader, tree: Tree) -> Span | None:
    """Bytes."""
    return _span(reader, tree, _above_zero(units.size_bytes), "{min: 32 kib, max: 128 kib}")


def read_queues(reader: Reader, tree: Tree) -> Span | None:
    return _span(reader, tree, whole_number(1, MOST_QUEUES), "{min: 1, max: 4}")


def read_cpu(reader: Reader, tree: Tree) -> Span | None:
    """Parts of one datapath core."""
    return _span(reader, tree, _above_zero(units.part), "{min: 10 %, max: 50 %}")


def read_objectives(reader: Reader, tree: Tree) -> Objectives | None:
    fields = reader.fields(tree, OBJECTIVES)
    _refuse_nothing(reader, tree, "{latency: 5 ms}")
    time_s = _above_zero(units.time_s)
    own = Objectives(
        latency_s=reader.value(fields["latency"], time_s) if "latency" in fields else None,
        jitter_s=reader.value(fields["jitter"], time_s) if "jitter" in fields else None,
        loss=reader.value(fields["loss"], units.part) if "loss" in fields else None,
    )
    return None if own == Objectives() else own


def read_congestion(reader: Reader, tree: Tree) -> Congestion | None:
    fields = reader.fields(tree, CONGESTION)
    _refuse_nothing(reader, tree, "{queue: fq_codel}")
    word = reader.word(fields["queue"], LEAF_QUEUE) if "queue" in fields else LeafQueue.FIFO.value
    ecn = bool(reader.flag(fields["ecn"])) if "ecn" in fields else False
    if word is None:
        return None
    if ecn and word == LeafQueue.FIFO:
        problem = "a fifo queue drops and never marks"
        reader.problems.add(fields["ecn"].place, problem, "Write 'queue: red' or 'queue: fq_codel', or remove 'ecn'")
    return Congestion(LeafQueue(word), ecn)


def read_autoscale(reader: Reader, tree: Tree, bandwidth: Mapping[Direction, WrittenBandwidth]) -> Autoscale | None:
    """Checked against the guarantee and limit of the same node in each direction that has a guarantee."""
    fields = reader.fields(tree, AUTOSCALE)
    span = _guarantee_span(reader, fields["guarantee"]) if "guarantee" in fields else None
    up = reader.value(fields["up"], _threshold) if "up" in fields else None
    down = reader.value(fields["down"], _threshold) if "down" in fields else None
    if up is not None and down is not None and down.part >= up.part:
        problem = f"{_percent(down.part)} is not below the {_percent(up.part)} of 'up'"
        reader.problems.add(fields["down"].place, problem, "Lower it, or the guarantee would move up and down at once")
    if not any(written.may_guarantee for written in bandwidth.values()):
        remedy = "Add a 'guarantee' to 'egress' or 'ingress', or remove 'autoscale'"
        reader.problems.add(tree.place, "there is no guarantee to move", remedy)
    if span is None:
        return None
    for direction, written in bandwidth.items():
        _refuse_outside(reader, fields["guarantee"], span, (direction, written.numbers))
    return None if up is None or down is None else Autoscale(span, up, down)


def _guarantee_span(reader: Reader, tree: Tree) -> Span | None:
    example = "{min: 50 mbit, max: 200 mbit}"
    if isinstance(tree, Fields):
        return _span(reader, tree, _above_zero(units.rate_kbps), example)
    reader.problems.add(tree.place, "a guarantee that moves needs two bounds", f"Write {example}")
    return None


def _refuse_outside(reader: Reader, tree: Tree, span: Span, of: tuple[Direction, Bandwidth]) -> None:
    direction, own = of[0].value, of[1]
    if not own.guarantee_kbps:
        return
    least, most = rate_text(int(span.least)), rate_text(int(span.most))
    if not span.least <= own.guarantee_kbps <= span.most:
        problem = f"{least} to {most} does not contain the {direction} guarantee {rate_text(own.guarantee_kbps)}"
        reader.problems.add(tree.place, problem, "The guarantee is where it begins: move it or the bounds")
    if own.limit_kbps is not None and span.most > own.limit_kbps:
        problem = f"the max {most} is more than the {direction} limit {rate_text(own.limit_kbps)}"
        reader.problems.add(tree.place, problem, "Raise the limit or lower the max")


def _span(reader: Reader, tree: Tree, parse: Callable[[str], float], example: str) -> Span | None:
    """One value, or {min, max}."""
    if not isinstance(tree, Fields):
        value = reader.value(tree, parse)
        return None if value is None else Span(value, value)
    fields = reader.fields(tree, SPAN)
    found = {key: reader.value(value, parse) for key, value in fields.items()}
    if len(fields) < len(SPAN.built):
        reader.problems.add(tree.place, "needs both 'min' and 'max'", f"Write one value, or both, as in {example}")
    least, most = found.get("min"), found.get("max")
    if least is None or most is None:
        return None
    if least > most:
        texts = [reader.text(fields[key]) or "" for key in ("min", "max")]
        problem = f"{quoted(texts[0])} is more than the max {quoted(texts[1])}"
        reader.problems.add(fields["min"].place, problem, "Write the lower one as 'min'")
        return None
    return Span(least, most)


def _above_zero(parse: Callable[[str], float]) -> Callable[[str], float]:
    def above_zero(text: str) -> float:
        value = parse(text)
        if value <= 0:
            raise BadValue(f"{quoted(text)} cannot be kept", "Write more than nothing, or remove the key")
        return value

    return above_zero


def _threshold(text: str) -> Threshold:
    """'90 % for 5 s'. Raises BadValue."""
    part_text, _, time_text = text.lower().partition(" for ")
    if not time_text:
        raise BadValue(f"{quoted(text)} is not a part of the guarantee and a time", "Write one such as '90 % for 5 s'")
    part, for_s = units.part(part_text), units.time_s(time_text)
    if part <= 0 or for_s <= 0:
        raise BadValue(f"{quoted(text)} has a part or a time of nothing", "Write one such as '90 % for 5 s'")
    return Threshold(part, for_s)


def _percent(part: float) -> str:
    return f"{part * 100:g} %"


def _refuse_nothing(reader: Reader, tree: Tree, example: str) -> None:
    if isinstance(tree, Fields) and not tree.entries:
        reader.problems.add(tree.place, "says nothing", f"Remove the key, or write such as {example}")
