"""Weir from Python.

from weir import Demand, Place, Weir

with Weir() as weir:
    vif = weir.create_virtual_interface("shop-1", "acme/web", segment="front", place=Place(netns="shop"))
    weir.adjust_resources(vif, Demand(egress="guarantee=10 mbit,limit=50 mbit"))
    print(weir.monitor_traffic(vif).egress.passed_kbps)
    weir.destroy_virtual_interface(vif)
"""

from __future__ import annotations

from controller.api.client import ApiError
from controller.client.places import ITS_OWN, Place
from controller.client.values import Demand, Flow, PacketBound, Path, ProcessorBudget, Traffic
from controller.client.weir import Weir
from controller.config import ConfigError
from controller.intent.errors import NotInForce, Partly, Rejected
from controller.intent.hypervisor import Attachment
from controller.intent.vif_change import VifChange
from controller.intent.vif_checks import VifRequest
from controller.system.errors import SystemFault, WrongRequest
from ovsdb.rows import VirtualInterface
from ovsdb.session import DatabaseError
from policies.errors import PolicyErrors
from policies.own_numbers import Own

FAILURES = (Rejected, NotInForce, PolicyErrors, SystemFault, ConfigError, DatabaseError, ApiError)

__all__ = [
    "FAILURES",
    "ITS_OWN",
    "ApiError",
    "Attachment",
    "ConfigError",
    "DatabaseError",
    "Demand",
    "Flow",
    "NotInForce",
    "Own",
    "PacketBound",
    "Partly",
    "Path",
    "Place",
    "PolicyErrors",
    "ProcessorBudget",
    "Rejected",
    "SystemFault",
    "Traffic",
    "VifChange",
    "VifRequest",
    "VirtualInterface",
    "Weir",
    "WrongRequest",
]
