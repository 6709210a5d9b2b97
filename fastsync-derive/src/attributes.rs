//! `#[syncable(...)]`, as written: each key known, given once, with a value of its type.

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Ident, LitInt, LitStr, Path, Token};

/// Every problem found so far, so that one compilation tells them all.
#[derive(Debug, Default)]
pub(crate) struct Problems(Option<syn::Error>);

impl Problems {
    pub(crate) fn add(&mut self, at: Span, message: impl std::fmt::Display) {
        self.take(syn::Error::new(at, message));
    }

    fn take(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            first => *first = Some(error),
        }
    }

    /// # Errors
    /// The problems, if there are any; none are left behind.
    pub(crate) fn check(&mut self) -> syn::Result<()> {
        self.0.take().map_or(Ok(()), Err)
    }
}

const ON_STRUCT: &[(&str, &str)] = &[
    ("crate", "`crate = \"...\"`"),
    ("min_version", "`min_version = 2`"),
    ("name", "`name = \"...\"`"),
    ("priority", "`priority = 10`"),
    ("restricted", "`restricted`"),
    ("version", "`version = 2`"),
];

const ON_FIELD: &[(&str, &str)] = &[
    ("id", "`id`"),
    ("rename", "`rename = \"...\"`"),
    ("skip", "`skip`"),
    ("value", "`value`"),
    ("text", "`text`"),
    ("json", "`json`"),
    ("default", "`default = ...`"),
    ("was", "`was = \"...\"`"),
    ("constant", "`constant = \"...\"`"),
];

/// The attributes of the struct.
#[derive(Default)]
pub(crate) struct OnStruct {
    pub(crate) library: Option<Path>,
    pub(crate) name: Option<LitStr>,
    pub(crate) priority: Option<i32>,
    pub(crate) restricted: bool,
    pub(crate) version: Option<u32>,
    pub(crate) min_version: Option<u32>,
}

impl OnStruct {
    pub(crate) fn read(attributes: &[Attribute], problems: &mut Problems) -> Self {
        let mut found = Self::default();
        each(attributes, "struct", ON_STRUCT, ON_FIELD, problems, |key, meta| {
            match key {
                "crate" => found.library = Some(library(&value(meta)?)?),
                "name" => found.name = Some(value(meta)?),
                "priority" => found.priority = Some(integer(meta)?),
                "restricted" => found.restricted = flag(meta).map(|_| true)?,
                "min_version" => found.min_version = Some(integer(meta)?),
                "version" => found.version = Some(integer(meta)?),
                _ => {}
            }
            Ok(())
        });
        found
    }
}

/// The attributes of a field; the spans say where.
#[derive(Default)]
pub(crate) struct OnField {
    pub(crate) id: Option<Span>,
    pub(crate) rename: Option<LitStr>,
    pub(crate) skip: Option<Span>,
    pub(crate) value: Option<Span>,
    pub(crate) text: Option<Span>,
    pub(crate) json: Option<Span>,
    pub(crate) default: Option<Expr>,
    pub(crate) was: Vec<LitStr>,
    pub(crate) constant: Option<Ident>,
}

impl OnField {
    pub(crate) fn read(attributes: &[Attribute], problems: &mut Problems) -> Self {
        let mut found = Self::default();
        each(attributes, "field", ON_FIELD, ON_STRUCT, problems, |key, meta| {
            match key {
                "rename" => found.rename = Some(value(meta)?),
                "id" => found.id = Some(flag(meta)?),
                "skip" => found.skip = Some(flag(meta)?),
                "value" => found.value = Some(flag(meta)?),
                "text" => found.text = Some(flag(meta)?),
                "json" => found.json = Some(flag(meta)?),
                "was" => found.was.push(value(meta)?),
                "default" => found.default = Some(value(meta)?),
                "constant" => found.constant = Some(constant(&value(meta)?)?),
                _ => {}
            }
            Ok(())
        });
        found.refuse_conflicts(problems);
        found
    }

    fn refuse_conflicts(&self, problems: &mut Problems) {
        let columns = [("value", self.value), ("text", self.text), ("json", self.json)];
        let mut columns = columns.into_iter().filter_map(|(key, at)| at.map(|at| (key, at)));
        let column = columns.next();
        if let (Some((first, _)), Some((second, at))) = (column, columns.next()) {
            problems.add(at, format!("`{second}` and `{first}` exclude each other: a field has one column"));
        }
        let without = self.id.map(|_| "id").or(self.skip.map(|_| "skip"));
        if let (Some(key), Some(was)) = (without, self.was.first()) {
            problems.add(
                was.span(),
                format!("`was` and `{key}` exclude each other: it is for a stored field beside the id"),
            );
        }
        if let (Some(key), Some(default)) = (without, &self.default) {
            problems.add(
                default.span(),
                format!("`default` and `{key}` exclude each other: it is for the values of a stored field"),
            );
        }
        if let (Some(key), Some(constant)) = (without, &self.constant) {
            problems.add(
                constant.span(),
                format!("`constant` and `{key}` exclude each other: it is for filters by a stored field"),
            );
        }
        if let Some(at) = self.skip {
            let other = self.id.map(|_| "id").or(self.rename.as_ref().map(|_| "rename"));
            match other.or(column.map(|(key, _)| key)) {
                Some("id") => problems.add(at, "the id cannot be skipped: it is the object's identity"),
                Some(other) => {
                    problems.add(
                        at,
                        format!("`skip` and `{other}` exclude each other: a skipped field is not stored"),
                    );
                }
                None => {}
            }
        } else if let (Some(_), Some((key, at))) = (self.id, column) {
            problems.add(
                at,
                format!("`{key}` and `id` exclude each other: an id is stored as text through `IdValue`"),
            );
        }
    }
}

fn library(path: &LitStr) -> syn::Result<Path> {
    path.parse_with(Path::parse_mod_style).map_err(|_| {
        syn::Error::new(
            path.span(),
            format!("`{}` is not the path of a crate; write one as `::name` or `crate::name`", path.value()),
        )
    })
}

fn constant(name: &LitStr) -> syn::Result<Ident> {
    name.parse().map_err(|_| {
        syn::Error::new(
            name.span(),
            format!("`{}` is no name of a constant; write one as `NAME`", name.value()),
        )
    })
}

fn each(
    attributes: &[Attribute],
    place: &str,
    known: &[(&str, &str)],
    elsewhere: &[(&str, &str)],
    problems: &mut Problems,
    mut read: impl FnMut(&str, &ParseNestedMeta<'_>) -> syn::Result<()>,
) {
    let mut seen = BTreeSet::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("syncable")) {
        let outcome = attribute.parse_nested_meta(|meta| {
            let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            let at = meta.path.span();
            let is = |(candidate, _): &&(&str, &str)| *candidate == key;
            if known.iter().find(is).is_some() {
                // A field may have had many names.
                if !seen.insert(key.clone()) && key != "was" {
                    problems.add(at, format!("`{key}` is given twice"));
                }
                return read(&key, &meta);
            }
            if let Some((_, usage)) = elsewhere.iter().find(is) {
                let other = if place == "field" { "the struct" } else { "a field" };
                problems.add(at, format!("{usage} belongs on {other}, not on the {place}"));
            } else {
                let list: Vec<&str> = known.iter().map(|(_, usage)| *usage).collect();
                let segments: Vec<_> =
                    meta.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
                problems.add(
                    at,
                    format!(
                        "unknown attribute `{}`; known on a {place}: {}",
                        segments.join("::"),
                        list.join(", ")
                    ),
                );
            }
            // Go on behind it, so that what follows is checked too.
            while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
                meta.input.parse::<TokenTree>()?;
            }
            Ok(())
        });
        if let Err(error) = outcome {
            problems.take(error);
        }
    }
}

fn flag(meta: &ParseNestedMeta<'_>) -> syn::Result<Span> {
    if meta.input.is_empty() || meta.input.peek(Token![,]) {
        return Ok(meta.path.span());
    }
    Err(meta.error("this attribute takes no value"))
}

fn value<T: syn::parse::Parse>(meta: &ParseNestedMeta<'_>) -> syn::Result<T> {
    if !meta.input.peek(Token![=]) {
        return Err(meta.error("this attribute needs a value: `key = value`"));
    }
    meta.value()?.parse()
}

/// A whole number, negative ones too.
struct Integer(i64, Span);

impl syn::parse::Parse for Integer {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let minus: Option<Token![-]> = input.parse()?;
        let literal: LitInt = input.parse()?;
        let value: i64 = literal.base10_parse()?;
        Ok(Self(if minus.is_some() { -value } else { value }, literal.span()))
    }
}

fn integer<T: TryFrom<i64>>(meta: &ParseNestedMeta<'_>) -> syn::Result<T> {
    let Integer(number, at) = value(meta)?;
    T::try_from(number).map_err(|_| {
        syn::Error::new(at, format!("{number} is out of range for `{}`", std::any::type_name::<T>()))
    })
}
