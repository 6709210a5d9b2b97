//! The struct, checked: what remains to do is to write the code.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Data, DeriveInput, Expr, Field, Fields, Generics, Ident, LitStr, Path, Type, Visibility, WhereClause,
};

use crate::attributes::{OnField, OnStruct, Problems};
use crate::kind::{self, Shape};
use crate::names;

/// The most fields beside the id that a type may have (`fastsync_core::schema::MAX_FIELDS`).
const MAX_FIELDS: usize = 512;

/// A struct that can be synchronised.
pub(crate) struct Object {
    /// The crate with the trait and all that belongs to it.
    pub(crate) library: Path,
    pub(crate) ident: Ident,
    pub(crate) where_clause: Option<WhereClause>,
    pub(crate) name: String,
    pub(crate) priority: i32,
    pub(crate) restricted: bool,
    pub(crate) version: u32,
    pub(crate) min_version: u32,
    pub(crate) id: Id,
    pub(crate) columns: Vec<Column>,
    pub(crate) skipped: Vec<(Ident, Type)>,
}

/// The field with the id.
pub(crate) struct Id {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) name: String,
}

/// A stored field beside the id.
pub(crate) struct Column {
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) name: String,
    pub(crate) storage: Storage,
    pub(crate) default: Option<Expr>,
    pub(crate) was: Vec<String>,
    /// The name of its constant.
    pub(crate) constant: Ident,
}

/// How a field is stored.
pub(crate) enum Storage {
    /// Through `FieldValue`.
    Value,
    /// As the text that serde makes of it.
    Text(Serde),
    /// As JSON.
    Json(Serde),
}

/// The type that serde writes and reads.
pub(crate) enum Serde {
    Required(Type),
    Optional(Type),
}

impl Object {
    /// # Errors
    /// Everything that stands against it, each at its place.
    pub(crate) fn read(input: DeriveInput, library: Path) -> syn::Result<Self> {
        let fields = named_fields(input.data, &input.ident)?;
        let mut problems = Problems::default();
        refuse_generics(&input.generics, &mut problems);
        let on_struct = OnStruct::read(&input.attrs, &mut problems);
        let fields: Vec<(Field, OnField)> = fields
            .into_iter()
            .map(|field| {
                let attributes = OnField::read(&field.attrs, &mut problems);
                (field, attributes)
            })
            .collect();
        // A misread attribute would make the checks below report what is not wrong.
        problems.check()?;

        let name = Name::of_struct(&input.ident, on_struct.name.as_ref(), &mut problems);
        let mut names = Names::new(on_struct.restricted);
        let mut id: Option<Id> = None;
        let mut columns = Vec::new();
        let mut skipped = Vec::new();
        let mut id_named = None;
        let mut constants: BTreeMap<Ident, Ident> = BTreeMap::new();
        for (Field { vis, ident, ty, .. }, attributes) in fields {
            let Some(ident) = ident else { continue };
            if attributes.skip.is_some() {
                skipped.push((ident, ty));
                continue;
            }
            let name = names.take(&ident, attributes.rename.as_ref(), &mut problems);
            if let Some(at) = attributes.id {
                match &id {
                    Some(first) => problems.add(
                        at,
                        format!(
                            "`{}` is the id already; an object has one. For an id of several parts make it a type of \
                             its own that implements `IdValue`",
                            first.ident
                        ),
                    ),
                    None => id = Some(Id { ident, ty, name }),
                }
                continue;
            }
            if name == "id" {
                id_named = Some(ident.span());
            }
            let storage = storage(&ty, &attributes, &mut problems);
            let was =
                attributes.was.iter().map(|was| Name::of_field(&ident, Some(was), &mut problems)).collect();
            let constant = attributes
                .constant
                .unwrap_or_else(|| Ident::new(&ident.unraw().to_string().to_uppercase(), ident.span()));
            if let Some(first) = constants.insert(constant.clone(), ident.clone()) {
                problems.add(
                    constant.span(),
                    format!(
                        "`{constant}` is the constant of the field `{first}` already; give this one another with \
                         `#[syncable(constant = \"...\")]`"
                    ),
                );
            }
            columns.push(Column {
                constant,
                vis,
                ident,
                ty,
                name,
                storage,
                default: attributes.default,
                was,
            });
        }
        if columns.len() > MAX_FIELDS {
            problems.add(
                input.ident.span(),
                format!("{} stored fields; at most {MAX_FIELDS} are allowed", columns.len()),
            );
        }
        let Some(id) = id else {
            let (at, advice) = match id_named {
                Some(at) => (at, "mark this one with `#[syncable(id)]`"),
                None => (input.ident.span(), "mark one with `#[syncable(id)]`"),
            };
            problems.add(at, format!("no field is the id of `{}`: {advice}", input.ident));
            problems.check()?;
            return Err(syn::Error::new(at, "no field is the id"));
        };
        problems.check()?;
        Ok(Self {
            library: on_struct.library.unwrap_or(library),
            ident: input.ident,
            where_clause: input.generics.where_clause,
            name,
            priority: on_struct.priority.unwrap_or(0),
            restricted: on_struct.restricted,
            version: on_struct.version.unwrap_or(1),
            min_version: on_struct.min_version.unwrap_or(0),
            id,
            columns,
            skipped,
        })
    }
}

fn named_fields(data: Data, ident: &Ident) -> syn::Result<impl IntoIterator<Item = Field> + use<>> {
    let refuse = |at: Span, what: &str, advice: &str| {
        Err(syn::Error::new(at, format!("{what} cannot be synchronised by itself: {advice}")))
    };
    match data {
        Data::Struct(data) => match data.fields {
            Fields::Named(fields) => Ok(fields.named),
            Fields::Unnamed(fields) => refuse(
                fields.span(),
                "a tuple struct",
                "its fields have no names to store them under; name them, and mark one with `#[syncable(id)]`",
            ),
            Fields::Unit => refuse(
                ident.span(),
                "a unit struct",
                "it has no id; give it a field that is marked with `#[syncable(id)]`",
            ),
        },
        Data::Enum(data) => refuse(
            data.enum_token.span,
            "an enum",
            "make it a field of a struct, where it is stored as JSON, or as text with `#[syncable(text)]`",
        ),
        Data::Union(data) => refuse(data.union_token.span, "a union", "use a struct with named fields"),
    }
}

fn refuse_generics(generics: &Generics, problems: &mut Problems) {
    if !generics.params.is_empty() {
        problems.add(
            generics.params.span(),
            "a synchronised type has no generic parameters: it is one table, and owns its data; write a struct \
             for each concrete type",
        );
    }
}

fn storage(ty: &Type, attributes: &OnField, problems: &mut Problems) -> Storage {
    let inner = kind::option(ty);
    let shape = kind::shape(inner.unwrap_or(ty));
    let serde = || match inner {
        Some(inner) => Serde::Optional(inner.clone()),
        None => Serde::Required(ty.clone()),
    };
    if let (Shape::Refused(why), None) = (shape, attributes.value) {
        problems.add(ty.span(), why);
    }
    if let (Shape::Plain, Some(at)) = (shape, attributes.text) {
        problems.add(at, "`text` is for types that serde makes a string; this one has a column of its own");
    }
    if attributes.json.is_some() {
        Storage::Json(serde())
    } else if attributes.text.is_some() {
        Storage::Text(serde())
    } else if attributes.value.is_some() || shape != Shape::Other {
        Storage::Value
    } else {
        Storage::Json(serde())
    }
}

/// A name as stored, and where it is written.
struct Name;

impl Name {
    fn of_struct(ident: &Ident, given: Option<&LitStr>, problems: &mut Problems) -> String {
        Self::check(ident, given, "a type's name", "`#[syncable(name = \"...\")]`", problems)
    }

    fn of_field(ident: &Ident, given: Option<&LitStr>, problems: &mut Problems) -> String {
        Self::check(ident, given, "a field's name", "`#[syncable(rename = \"...\")]`", problems)
    }

    fn check(
        ident: &Ident,
        given: Option<&LitStr>,
        what: &str,
        how: &str,
        problems: &mut Problems,
    ) -> String {
        let name = given.map_or_else(|| ident.unraw().to_string(), LitStr::value);
        if let Some(problem) = names::problem(&name) {
            let at = given.map_or_else(|| ident.span(), LitStr::span);
            let advice = if given.is_some() { String::new() } else { format!("; give another with {how}") };
            problems.add(at, format!("{what} becomes that of a table or column: {problem}{advice}"));
        }
        name
    }
}

/// The names of the fields seen so far, in lower case, with the name of the field in the struct.
struct Names {
    restricted: bool,
    seen: BTreeMap<String, Ident>,
}

impl Names {
    fn new(restricted: bool) -> Self {
        Self { restricted, seen: BTreeMap::new() }
    }

    fn take(&mut self, ident: &Ident, given: Option<&LitStr>, problems: &mut Problems) -> String {
        let name = Name::of_field(ident, given, problems);
        let at = given.map_or_else(|| ident.span(), LitStr::span);
        let folded = name.to_ascii_lowercase();
        if self.restricted && folded == "zone" {
            problems.add(
                at,
                "a restricted type has a column `zone` of its own; give the field another name with \
                 `#[syncable(rename = \"...\")]`",
            );
        }
        match self.seen.get(&folded) {
            Some(first) => problems.add(
                at,
                format!(
                    "`{name}` is the name of the field `{first}` already (databases ignore case in names)"
                ),
            ),
            None => {
                self.seen.insert(folded, ident.clone());
            }
        }
        name
    }
}
