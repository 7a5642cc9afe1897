"""What a business says about itself."""

from __future__ import annotations

from deployments.business.routes import router
from deployments.kit.capability import Capability

capability = Capability("business", "/api/business", (router,))
