"""The demo: a trading day appended, killed, recovered, queried, proved and tampered with."""
