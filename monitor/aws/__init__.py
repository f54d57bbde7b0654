"""The only room that knows the vendor's SDK: sessions, reads, writes, pacing, prices, errors, operation models.

Here belongs everything that depends on how AWS behaves. What a number means, and whether an action may run, don't.
"""

from monitor.aws.calls import Guard
from monitor.aws.cloud import Aws
from monitor.aws.health import Broken
from monitor.aws.operations import Operations
from monitor.aws.reader import AwsReads
from monitor.aws.secrets import SecretResolver
from monitor.aws.settings import AwsSettings
from monitor.aws.writer import AwsWrites

__all__ = ["Aws", "AwsReads", "AwsSettings", "AwsWrites", "Broken", "Guard", "Operations", "SecretResolver"]
