//! What `Repository::new` and `Repository::in_zone` evaluate. They do it where code is made of them, hence not in this test, which
//! only checks: `Repository` has examples that are built.

use fastsync_core::object::__private::{has_global_objects, has_restricted_objects};
use fastsync_core::{ObjectId, Result, SyncableObject, TypeSchema, Value, ZoneRestriction};

#[derive(SyncableObject)]
struct Country {
    #[syncable(id)]
    id: String,
}

#[derive(SyncableObject)]
#[syncable(restricted)]
struct Note {
    #[syncable(id)]
    id: String,
}

macro_rules! by_hand {
    ($object:ident, $($zones:tt)*) => {
        struct $object;

        impl SyncableObject for $object {
            $($zones)*
            fn schema() -> Result<TypeSchema> {
                TypeSchema::builder(stringify!($object), "id").restricted().build()
            }
            fn id(&self) -> Result<ObjectId> {
                ObjectId::new("1")
            }
            fn to_body(&self) -> Result<Vec<Value>> {
                Ok(Vec::new())
            }
            fn from_body(_: &ObjectId, _: Vec<Value>) -> Result<Self> {
                Ok(Self)
            }
        }
    };
}

by_hand!(Says, const ZONES: Option<ZoneRestriction> = Some(ZoneRestriction::Restricted););
by_hand!(DoesNotSay,);

const _: () = has_global_objects::<Country>();
const _: () = has_restricted_objects::<Note>();
const _: () = has_restricted_objects::<Says>();
const _: () = has_global_objects::<DoesNotSay>();
const _: () = has_restricted_objects::<DoesNotSay>();

const _: () = has_restricted_objects::<Country>();
const _: () = has_global_objects::<Note>();
const _: () = has_global_objects::<Says>();

fn main() {}
