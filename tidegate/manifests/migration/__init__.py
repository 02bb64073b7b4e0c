"""Assessment of the Rollouts of Argo's controller, before a release takes them over. Pure."""

from tidegate.manifests.migration.assessment import Assessment, MigrationVerdict, assess, with_errors
from tidegate.manifests.migration.differences import DIFFERENCES

__all__ = ["DIFFERENCES", "Assessment", "MigrationVerdict", "assess", "with_errors"]
