from __future__ import annotations

from controller.openflow.connections import flush_zone


def test_a_zone_is_flushed_as_nicira_has_it() -> None:
    """struct nx_zone_id after the experimenter's header (nicira-ext.h): six bytes of nothing, then the zone."""
    assert flush_zone(7, 0x1234).hex(" ", 4) == "04040018 00000007 00002320 0000001d 00000000 00001234"
