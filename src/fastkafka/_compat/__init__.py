"""What the original FastKafka had behind private import paths, and nothing here needs.

Published guides and tests of old apps import these functions. The paths they use are
`fastkafka._application`, `_components`, `_testing`, `_server` and `_helpers`.
"""
