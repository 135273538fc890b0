"""Alerts: somebody is alerted about what needs a person, by a command or a webhook; and a heartbeat."""

from gateways.alerting.conditions import Alert, Condition
from gateways.alerting.running import Alerts, started_for
from gateways.alerting.settings import AlertSettings, Receiver

__all__ = ["Alert", "AlertSettings", "Alerts", "Condition", "Receiver", "started_for"]
