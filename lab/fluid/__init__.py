"""Traffic as fluid: what the loop controls, as arrays, so that thousands of VIFs move at once. Pure.

`senders` offer; `plant` holds them back as shapers, meters, uplinks and ingress queues do; `telemetry` tells of it, as
well or as badly as asked; `closed` puts the real loop around it. Rates in kbit/s, amounts in kbit; a flow is a VIF's
traffic on one of three ways: LOCAL (to neighbours), LINK (through its uplink), INWARD (to it).
"""
