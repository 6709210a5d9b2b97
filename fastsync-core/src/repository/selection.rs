//! What to select of a repository.

use crate::error::Result;
use crate::model::{FieldName, TypeName, Zone};
use crate::query::{Filter, Order, Query};

/// What to select with [`SyncableRepositoryExt::query`](super::SyncableRepositoryExt::query).
#[derive(Debug, Clone)]
#[must_use]
pub struct Selection {
    filter: Filter,
    order: Vec<Order>,
    offset: u64,
    limit: Option<u64>,
}

impl Selection {
    /// Every object, by id.
    pub fn all() -> Self {
        Self::matching(Filter::All)
    }

    /// The objects for which `filter` holds, by id.
    pub fn matching(filter: Filter) -> Self {
        Self { filter, order: Vec::new(), offset: 0, limit: None }
    }

    /// Orders by a field, after the orders given before.
    ///
    /// # Errors
    /// `InvalidInput` if `field` is not a field name.
    pub fn order_by(mut self, field: &str) -> Result<Self> {
        self.order.push(Order { field: FieldName::new(field)?, descending: false });
        Ok(self)
    }

    /// Orders by a field from the greatest down, after the orders given before.
    ///
    /// # Errors
    /// `InvalidInput` if `field` is not a field name.
    pub fn order_by_descending(mut self, field: &str) -> Result<Self> {
        self.order.push(Order { field: FieldName::new(field)?, descending: true });
        Ok(self)
    }

    /// Orders by what a [`Field`](super::Field) gives, after the orders given before.
    pub fn ordered(mut self, order: Order) -> Self {
        self.order.push(order);
        self
    }

    /// Leaves out the first `offset` objects.
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Reads at most `limit` objects.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The query of these objects of a type in a zone.
    pub(super) fn into_query(self, type_name: TypeName, zone: Zone) -> Query {
        let Self { filter, order, offset, limit } = self;
        Query { type_name, zone, filter, order, offset, limit, total: false }
    }
}
