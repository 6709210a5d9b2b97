//! `#[derive(SyncableObject)]` for FastSync.
//!
//! Use it through the feature `derive` of `fastsync-core`, which re-exports it beside the trait of the same name.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable
    )
)]

mod attributes;
mod expand;
mod kind;
mod names;
mod object;

use proc_macro::TokenStream;

/// Implements `SyncableObject` for a struct with named fields.
///
/// ```
/// use fastsync_core::{SyncableObject, Value, ZoneRestriction};
/// use serde::{Deserialize, Serialize};
/// use uuid::Uuid;
///
/// #[derive(Debug, Clone, PartialEq, SyncableObject)]
/// #[syncable(name = "items", priority = 10, restricted)]
/// struct Item {
///     #[syncable(id)]
///     id: Uuid,
///     name: String,
///     quantity: i64,
///     note: Option<String>,
///     #[syncable(text)]
///     state: State,
///     tags: Vec<String>,
///     #[syncable(skip)]
///     selected: bool,
/// }
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// #[serde(rename_all = "snake_case")]
/// enum State {
///     InStock,
///     SoldOut,
/// }
///
/// # fn main() -> fastsync_core::Result<()> {
/// let item = Item {
///     id: Uuid::from_u128(1),
///     name: "bolt".into(),
///     quantity: 12,
///     note: None,
///     state: State::InStock,
///     tags: vec!["m8".into()],
///     selected: false,
/// };
/// let body = item.to_body()?;
/// assert!(body == [
///     Value::Text("bolt".into()),
///     Value::Integer(12),
///     Value::Null,
///     Value::Text("in_stock".into()),
///     Value::Json(r#"["m8"]"#.into()),
/// ]);
/// assert_eq!(Item::from_body(&item.id()?, body)?, item);
/// assert_eq!(Item::schema()?.restriction(), ZoneRestriction::Restricted);
/// # Ok(())
/// # }
/// ```
///
/// Each stored field beside the id has a constant of its name in capital letters, as visible as the field: `Item::QUANTITY` is a
/// `Field` for filters and orders. If the struct has an associated constant of that name already, `constant` gives another.
///
/// # Contract
///
/// - The fields beside the id make the body, in the order of declaration. Adding, removing or reordering fields
///   changes the schema: raise `version`.
/// - `from_body` of what `id` and `to_body` gave is an equal object, if the field types keep their own promise
///   (serde's `Serialize` and `Deserialize` agree) and skipped fields hold their default.
/// - Equal objects have equal bodies. For JSON fields this asks that equal values serialise to equal text: prefer
///   `BTreeMap` and `BTreeSet` to `HashMap` and `HashSet`, whose order is another one each time.
/// - An error of a single field names it: `[field: items.quantity]`.
/// - All names are checked at compile time: an ASCII letter, then at most 47 ASCII letters, digits or `_`; not
///   beginning with `fastsync_`; no two fields whose names differ only in case; no field `zone` in a restricted
///   type. A raw identifier counts without its `r#`.
/// - The struct has named fields and no generic parameters.
///
/// # Attributes
///
/// All go into `#[syncable(...)]`, separated by commas.
///
/// | on the struct | meaning | default |
/// |---|---|---|
/// | `name = "items"` | the type's name: its table and its name on the wire. Set it: renaming the struct then changes nothing stored | the struct's name as written |
/// | `priority = 10` | place in the order of writing: parents (lower) first, deletes in reverse | `0` |
/// | `restricted` | each record lives in a restricted zone | records are global |
/// | `version = 2` | version of the schema, raised when fields change | `1` |
/// | `min_version = 2` | oldest version with which a server exchanges the type | every one |
/// | `crate = "::name"` | the path of `fastsync` or `fastsync-core`, where it has another name or is re-exported | the crate that the macro comes from |
///
/// | on a field | meaning |
/// |---|---|
/// | `id` | the object's identity, on exactly one field; its type implements `IdValue` |
/// | `rename = "title"` | stored under this name |
/// | `skip` | not stored; `Default::default()` when read |
/// | `value` | a column of the type's own: its `FieldValue` |
/// | `text` | a text column of a type that serde makes a string: enums of unit variants, `Url`, `Box<str>`, `ObjectId` |
/// | `json` | a JSON column, whatever the type |
/// | `was = "label"` | what the field was called before, so that what is stored under it is kept; may be given many times |
/// | `constant = "NAME_FIELD"` | the name of its constant for filters and orders |
/// | `default = 1` | what objects have that were stored before the field was, or had `None` in it; a literal or an expression of the field's type |
///
/// # Columns
///
/// Without `value`, `text` or `json` the last segment of the type's path decides; a macro sees no more than that.
///
/// | type | column |
/// |---|---|
/// | `bool` | boolean |
/// | `i8`, `i16`, `i32`, `u8`, `u16`, `u32` | whole number of this width |
/// | `i64`, `u64`, `isize`, `usize`, `Timestamp` | whole number; above 2^63 - 1 `to_body` fails |
/// | `f32`, `f64` | real; `to_body` fails unless finite |
/// | `Decimal` of `fastsync-core`, or of `rust_decimal` (feature of `fastsync-core`) | decimal number, exactly |
/// | `String` | text |
/// | `Uuid` | UUID |
/// | `Vec<u8>` | bytes |
/// | `DateTime<_>`, `OffsetDateTime` | moment: what is read back is in UTC (features `chrono`, `time` of `fastsync-core`, here and below) |
/// | `NaiveDateTime`, `PrimitiveDateTime` | local date and time |
/// | `NaiveDate`, `Date`; `NaiveTime`, `Time` | date; time of day |
/// | `Option` of one of these | the same, nullable |
/// | anything else | JSON: its type implements serde's `Serialize` and `DeserializeOwned` |
/// | `Option` of anything else | JSON, nullable: `None` is no value |
///
/// - A type of yours that is named like one of these needs `json`, `text` or its own `FieldValue`; so does `DateTime`
///   of a time zone other than `Utc`, `FixedOffset` and `Local`. A type alias is JSON unless it is marked `value`.
/// - Years are 0000 to 9999 and leap seconds are refused in `to_body`. The offset of a moment is not kept: where it
///   counts, it is a field of its own.
/// - JSON `null` is no value on the wire, so a JSON field that serialises to `null` at its top fails in `to_body`;
///   declare it as `Option`. `Option<Option<_>>` is refused for the same reason.
/// - `i128` and `u128` are refused: no backend stores them.
/// - Fields are stored one by one: serde attributes on the struct's own fields (`with`, `rename`, `default`) have no
///   effect here, and the struct itself need not implement serde's traits.
#[proc_macro_derive(SyncableObject, attributes(syncable))]
pub fn derive_syncable_object(input: TokenStream) -> TokenStream {
    derive(input, syn::parse_quote!(::fastsync_core))
}

/// Implements `SyncableObject` for a struct with named fields, in programs that depend on the facade `fastsync`.
///
/// The facade re-exports it as `SyncableObject`. All is as with [`SyncableObject`](macro@SyncableObject), where the attributes
/// and the columns are listed; the code that this one writes names the facade instead of `fastsync-core`.
#[proc_macro_derive(SyncableObjectOfFacade, attributes(syncable))]
pub fn derive_syncable_object_of_facade(input: TokenStream) -> TokenStream {
    derive(input, syn::parse_quote!(::fastsync))
}

fn derive(input: TokenStream, library: syn::Path) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    object::Object::read(input, library)
        .map_or_else(|error| error.into_compile_error(), |object| expand::expand(&object))
        .into()
}

/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
