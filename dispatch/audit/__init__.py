"""Re-checks every promise of Baton over the whole history. Reads only, in one snapshot, so it may run at any time beside
any load; what it finds is a fault of Baton or of whoever wrote to the database by hand."""

from dispatch.audit.keep import audit_now_and_then, keep
from dispatch.audit.report import Check, Outcome, Report
from dispatch.audit.run import ALL_CHECKS, audit, look

__all__ = ["ALL_CHECKS", "Check", "Outcome", "Report", "audit", "audit_now_and_then", "keep", "look"]
