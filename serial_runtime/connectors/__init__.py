# SPDX-License-Identifier: MIT
"""Ways to a board that are no eRPC stream of their own: WAMP, Pyro, and a runtime of one's own."""
