//! What names an object.

use super::IdValue;
use crate::error::Result;
use crate::model::ObjectId;

/// What an operation takes as the id of an object: a value of an id type ([`IdValue`]: `String`, `Uuid`, whole numbers,
/// [`ObjectId`], your own), or `str`.
///
/// Every [`IdValue`] is one; there is nothing to implement. Whether the type has such ids is checked at run time: a text that
/// is no UUID is refused where ids are UUIDs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name an object",
    note = "give the object's id: `&task.id`, a `&str`, or an `&ObjectId`"
)]
pub trait ToObjectId: Sync {
    /// The id.
    ///
    /// # Errors
    /// `InvalidInput` if it is not a valid [`ObjectId`].
    fn object_id(&self) -> Result<ObjectId>;
}

impl<I: IdValue + Sync> ToObjectId for I {
    fn object_id(&self) -> Result<ObjectId> {
        self.to_object_id()
    }
}

impl ToObjectId for str {
    fn object_id(&self) -> Result<ObjectId> {
        ObjectId::new(self)
    }
}

impl ToObjectId for &str {
    fn object_id(&self) -> Result<ObjectId> {
        ObjectId::new(*self)
    }
}
