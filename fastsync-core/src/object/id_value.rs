//! What can be the id of an object.

use crate::error::{Error, Result};
use crate::model::ObjectId;
use crate::schema::IdKind;

/// A type that can be the id field of an object.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an id",
    note = "ids are `Uuid`, `String`, whole numbers or `ObjectId`; or implement `IdValue`"
)]
pub trait IdValue: Sized {
    /// Which texts are ids of this type.
    const ID_KIND: IdKind = IdKind::Text;

    /// The id as text.
    ///
    /// # Errors
    /// `InvalidInput` if it is not a valid [`ObjectId`].
    fn to_object_id(&self) -> Result<ObjectId>;

    /// Reads the id back.
    ///
    /// # Errors
    /// `InvalidInput` if the text is not an id of this type.
    fn from_object_id(id: &ObjectId) -> Result<Self>;
}

impl IdValue for ObjectId {
    fn to_object_id(&self) -> Result<ObjectId> {
        Ok(self.clone())
    }
    fn from_object_id(id: &ObjectId) -> Result<Self> {
        Ok(id.clone())
    }
}

impl IdValue for String {
    fn to_object_id(&self) -> Result<ObjectId> {
        ObjectId::new(self)
    }
    fn from_object_id(id: &ObjectId) -> Result<Self> {
        Ok(id.as_str().to_owned())
    }
}

macro_rules! parsed_id {
    ($kind:ident: $($type:ty),*) => {$(
        impl IdValue for $type {
            const ID_KIND: IdKind = IdKind::$kind;
            fn to_object_id(&self) -> Result<ObjectId> {
                ObjectId::new(self.to_string())
            }
            fn from_object_id(id: &ObjectId) -> Result<Self> {
                id.as_str().parse().map_err(|_| {
                    Error::invalid("decode", concat!("an id is not a ", stringify!($type)))
                })
            }
        }
    )*};
}

parsed_id!(Uuid: uuid::Uuid);
parsed_id!(Integer: i64, i32, i16, i8, u64, u32, u16, u8);
