//! The written code neither trips over what is in scope nor over strict lints.

use fastsync_core::{FieldKind, IdKind, ObjectId, SyncableObject, TypeSchema, Value, ZoneRestriction};

/// Names in scope that the written code must not trip over.
mod surroundings {
    #![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery, unused_qualifications)]
    #![allow(dead_code, non_upper_case_globals, clippy::redundant_pub_crate)]

    use fastsync_core::{ObjectId, SyncableObject, TypeSchema, Value};

    struct Result;
    struct Option;
    struct Vec;
    struct Ok;
    const body: u8 = 0;
    const id: u8 = 0;

    macro_rules! object {
        ($name:ident, $key:ty, $($field:ident: $ty:ty),*) => {
            #[derive(SyncableObject)]
            pub(super) struct $name {
                #[syncable(id)]
                id: $key,
                $($field: $ty,)*
            }
        };
    }
    object!(Made, u32, value: std::option::Option<String>, count: i64);

    #[derive(SyncableObject)]
    pub(super) struct Bare
    where
        String: Clone,
    {
        #[syncable(id)]
        r#id: ObjectId,
        #[deprecated]
        #[syncable(skip)]
        r#fn: u128,
    }

    #[derive(SyncableObject)]
    pub(super) struct Open {
        #[syncable(id)]
        pub id: ObjectId,
        pub name: String,
        #[syncable(constant = "Kind")]
        pub r#type: u8,
    }

    impl Open {
        pub(super) const TYPE: u8 = 7;
    }

    pub(super) fn values() -> fastsync_core::Result<(TypeSchema, std::vec::Vec<Value>)> {
        std::result::Result::Ok((Made::schema()?, Made { id: 1, value: None, count: 0 }.to_body()?))
    }

    use std::option::Option::None;
}

#[test]
fn the_code_stands_on_its_own() {
    let (schema, body) = surroundings::values().unwrap();
    assert_eq!(
        schema,
        TypeSchema::builder("Made", "id")
            .id_kind(IdKind::Integer)
            .nullable_field("value", FieldKind::Text)
            .field("count", FieldKind::Integer)
            .build()
            .unwrap()
    );
    assert_eq!(body, [Value::Null, Value::Integer(0)]);
    assert_eq!(
        surroundings::Bare::schema().unwrap(),
        TypeSchema::builder("Bare", "id").version(1).priority(0).build().unwrap()
    );
    assert_eq!((surroundings::Open::NAME.name(), surroundings::Open::Kind.name()), ("name", "type"));
    let bare = surroundings::Bare::from_body(&ObjectId::new("a").unwrap(), Vec::new()).unwrap();
    assert!(bare.to_body().unwrap().is_empty());
    assert_eq!(surroundings::Bare::schema().unwrap().restriction(), ZoneRestriction::Global);
}
