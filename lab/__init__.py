"""What demo, tests and benchmarks measure with: a system, an outside world, traffic, and what arrives of it.

Figures are the receiver's. Rates are of whole frames without FCS, as the policy language counts them.
"""
