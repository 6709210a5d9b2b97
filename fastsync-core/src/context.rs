//! Who asks, and what they may see.

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{DeviceId, Zone};

/// Who sends a request, as established by the application's own authentication. Never read from a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncContext {
    /// The authenticated user.
    pub user: String,
    /// The tenant, where the application has tenants.
    pub tenant: Option<String>,
    /// The device, if authentication knows it: a request from another one is refused. Otherwise the device that
    /// the request names is taken as one of this user's.
    pub device: Option<DeviceId>,
}

impl SyncContext {
    /// The context of an authenticated user.
    #[must_use]
    pub fn new(user: impl Into<String>) -> Self {
        Self { user: user.into(), tenant: None, device: None }
    }

    /// Sets the tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the device that authentication knows.
    #[must_use]
    pub fn with_device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }
}

/// The zones that someone may read and write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneAccess {
    readable: Vec<Zone>,
    writable: Vec<Zone>,
}

impl ZoneAccess {
    /// No zone at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a zone to read.
    #[must_use]
    pub fn read(mut self, zone: Zone) -> Self {
        self.readable.push(zone);
        self
    }

    /// Adds a zone to read and write.
    #[must_use]
    pub fn read_write(mut self, zone: Zone) -> Self {
        self.readable.push(zone.clone());
        self.writable.push(zone);
        self
    }

    /// Whether the zone may be read.
    #[must_use]
    pub fn can_read(&self, zone: &Zone) -> bool {
        self.readable.contains(zone)
    }

    /// Whether the zone may be written.
    #[must_use]
    pub fn can_write(&self, zone: &Zone) -> bool {
        self.writable.contains(zone)
    }
}

/// Decides which zones a user may read and write. A server cannot be built without one.
///
/// Any `Fn(&SyncContext) -> ZoneAccess` is one.
#[async_trait]
pub trait ZonePolicy: Send + Sync + 'static {
    /// The zones of this user.
    ///
    /// # Errors
    /// Whatever kept it from deciding: the request fails, and nothing is read or written.
    async fn zones(&self, context: &SyncContext) -> Result<ZoneAccess>;
}

#[async_trait]
impl<F> ZonePolicy for F
where
    F: Fn(&SyncContext) -> ZoneAccess + Send + Sync + 'static,
{
    async fn zones(&self, context: &SyncContext) -> Result<ZoneAccess> {
        Ok(self(context))
    }
}
