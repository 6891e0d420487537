"""Port, Interface and QoS rows of a bridge: which are ours, what they say, how they are mended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ovsdb.switch import Policing, PortConfig, PortStatus
from ovsdb.transaction import Transaction

OWNER = "weir-owner"  # external_ids of every row made here
FORMER_QOS = "weir-former-qos"  # external_ids of a port: the uuid of its QoS row before ours, "none" for none
DEVICE_INDEX = "weir-device-index"  # external_ids of a port: index of the device that it was made for
FOR_PORT = "weir-port"  # external_ids of a QoS row that one port has for itself: the port's name
NOOP = "linux-noop"
AFFINITY = "pmd-rxq-affinity"


def owner_of(row: Any) -> str | None:
    return row.external_ids.get(OWNER)  # type: ignore[no-any-return]


def status(port: Any) -> PortStatus:
    """The first interface speaks for a bond."""
    interface = next(iter(port.interfaces), None)
    if interface is None:
        return PortStatus(port.name)
    ofport, error = next(iter(interface.ofport), -1), next(iter(interface.error), None)
    return PortStatus(
        name=port.name,
        type=interface.type,
        iface_id=interface.external_ids.get("iface-id"),
        ofport=ofport if ofport > 0 else None,
        error=error,
        mac=next(iter(interface.mac_in_use), None),
        owner=owner_of(port),
        attached_mac=interface.external_ids.get("attached-mac"),
        noop_qos=any(qos.type == NOOP for qos in port.qos),
        status=interface.status,
        device_index=int(index) if (index := port.external_ids.get(DEVICE_INDEX, "")).isdecimal() else None,
        rxq_affinity=interface.other_config.get(AFFINITY),
    )


def create(change: Transaction, bridge: Any, config: PortConfig, owner: str) -> Any:
    identity = {} if config.iface_id is None else {"iface-id": config.iface_id}
    interface = change.insert(
        "Interface",
        name=config.name,
        type=config.type,
        ofport_request=config.ofport_request,
        options=config.options,
        mtu_request=config.mtu_request,
        external_ids={OWNER: owner, **identity},
        other_config={} if config.rxq_affinity is None else {AFFINITY: config.rxq_affinity},
        **_policing(config),
    )
    device = {} if config.device_index is None else {DEVICE_INDEX: str(config.device_index)}
    port = change.insert("Port", name=config.name, interfaces=[interface], external_ids={OWNER: owner, **device})
    change.add(bridge, "ports", port)
    return port


def mend(change: Transaction, port: Any, config: PortConfig, owner: str) -> None:
    """Only what is the owner's. A number once given is asked for from then on."""
    if owner_of(port) != owner:
        return
    for interface in port.interfaces:
        given = next(iter(interface.ofport), -1)
        wanted = config.ofport_request or (given if given > 0 else None)
        if wanted is not None:
            change.put(interface, ofport_request=wanted)
        change.put(interface, type=config.type, options=config.options)
        if config.mtu_request is not None:
            change.put(interface, mtu_request=config.mtu_request)
        change.put_key(interface, "external_ids", "iface-id", config.iface_id)
        change.put(interface, **_policing(config))
        change.put_key(interface, "other_config", AFFINITY, config.rxq_affinity)


def _policing(config: PortConfig) -> dict[str, int]:
    policing = config.policing or Policing(0, 0)  # zero: none
    return {"ingress_policing_rate": policing.rate_kbps, "ingress_policing_burst": policing.burst_kbit}


class NoopQueues:
    """The one QoS row of type linux-noop that an owner's ports and those that it takes over share; made when needed.

    On a port of somebody else the QoS row that it had is remembered, and put back.
    """

    def __init__(self, change: Transaction, owner: str, rows: Mapping[Any, Any]) -> None:
        self._change, self._owner, self._rows = change, owner, rows
        shared = [row for row in rows.values() if owner_of(row) == owner and FOR_PORT not in row.external_ids]
        self._row = next(iter(shared), None)
        if self._row is not None:
            change.put(self._row, type=NOOP)

    def mend(self, port: Any, wanted: bool) -> None:
        present = next(iter(port.qos), None) if port._data is not None else None
        ours = present is not None and present == self._row
        if wanted and not ours:
            self._take(port, present)
        elif ours and not wanted:
            self._put_back(port)

    def delete(self) -> None:
        """To be called when no port uses it any more."""
        if self._row is not None:
            self._change.delete(self._row)

    def _take(self, port: Any, present: Any) -> None:
        if self._row is None:
            self._row = self._change.insert("QoS", type=NOOP, external_ids={OWNER: self._owner})
        self._change.put(port, qos=self._row)
        if owner_of(port) != self._owner:
            self._change.put_key(port, "external_ids", FORMER_QOS, "none" if present is None else str(present.uuid))

    def _put_back(self, port: Any) -> None:
        former = port.external_ids.get(FORMER_QOS)
        row = next((row for uuid, row in self._rows.items() if str(uuid) == former), None)
        self._change.put(port, qos=row)
        self._change.put_key(port, "external_ids", FORMER_QOS, None)
