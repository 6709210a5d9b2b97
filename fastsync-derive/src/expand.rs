//! The code.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, Path};

use crate::kind;
use crate::object::{Column, Object, Serde, Storage};

/// The crate with the trait, as the written code calls it: errors of the compiler are shown at this place.
fn at(span: Span, library: &Path) -> TokenStream {
    let tokens = library.to_token_stream().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

/// The implementation of `SyncableObject`.
pub(crate) fn expand(object: &Object) -> TokenStream {
    let Object { ident, where_clause, name, library, .. } = object;
    let (id, id_type) = (&object.id.ident, &object.id.ty);
    let at_id = at(id_type.span(), library);
    let schema = schema(object);
    let writes = object.columns.iter().map(|column| {
        let ident = &column.ident;
        let write = write(column, &quote!(self.#ident), library);
        named(&write, object, &column.name)
    });
    let locals: Vec<_> = (0..object.columns.len()).map(|at| format_ident!("__fastsync_value_{at}")).collect();
    let reads = object.columns.iter().zip(&locals).map(|(column, local)| {
        let ident = &column.ident;
        let read = named(&read(column, local, library), object, &column.name);
        quote!(#ident: #read?)
    });
    let defaults = object.skipped.iter().map(|(ident, ty)| {
        let default = quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default());
        quote!(#ident: #default)
    });
    let write_id = quote_spanned! {id_type.span()=>
        <#id_type as #at_id::IdValue>::to_object_id(&self.#id)
    };
    let read_id = quote_spanned! {id_type.span()=>
        <#id_type as #at_id::IdValue>::from_object_id(__fastsync_id)
    };
    let write_id = named(&write_id, object, &object.id.name);
    let read_id = named(&read_id, object, &object.id.name);
    let constants = object.columns.iter().map(|column| constant(column, library));
    let zones = if object.restricted { quote!(Restricted) } else { quote!(Global) };
    quote! {
        #[automatically_derived]
        #[allow(deprecated, dead_code, unreachable_pub, non_upper_case_globals)]
        impl #ident #where_clause {
            #(#constants)*
        }

        #[automatically_derived]
        #[allow(deprecated)]
        impl #library::SyncableObject for #ident #where_clause {
            const ZONES: ::core::option::Option<#library::ZoneRestriction> =
                ::core::option::Option::Some(#library::ZoneRestriction::#zones);

            fn schema() -> #library::Result<#library::TypeSchema> {
                #schema
            }

            fn id(&self) -> #library::Result<#library::ObjectId> {
                #write_id
            }

            fn to_body(&self) -> #library::Result<::std::vec::Vec<#library::Value>> {
                ::core::result::Result::Ok(::std::vec![#(#writes?),*])
            }

            fn from_body(
                __fastsync_id: &#library::ObjectId,
                __fastsync_body: ::std::vec::Vec<#library::Value>,
            ) -> #library::Result<Self> {
                let [#(#locals),*] = #library::object::__private::values(#name, __fastsync_body)?;
                ::core::result::Result::Ok(Self {
                    #id: #read_id?,
                    #(#reads,)*
                    #(#defaults,)*
                })
            }
        }
    }
}

/// The constant of a field, for filters and orders.
fn constant(Column { constant, vis, ident, ty, name, storage, .. }: &Column, library: &Path) -> TokenStream {
    let (of, to_value) = match storage {
        Storage::Value => {
            let of = kind::option(ty).unwrap_or(ty);
            let library = at(of.span(), library);
            (of, quote_spanned!(of.span()=> <#of as #library::FieldValue>::to_value))
        }
        Storage::Text(Serde::Required(of) | Serde::Optional(of)) => {
            let library = at(of.span(), library);
            (of, quote_spanned!(of.span()=> #library::object::__private::to_text::<#of>))
        }
        Storage::Json(Serde::Required(of) | Serde::Optional(of)) => {
            let library = at(of.span(), library);
            (of, quote_spanned!(of.span()=> #library::object::__private::to_json::<#of>))
        }
    };
    let about = format!("The field `{}`, for filters and orders.", ident.unraw());
    quote! {
        #[doc = #about]
        #vis const #constant: #library::Field<#of> = #library::Field::new(#name, #to_value);
    }
}

fn schema(object: &Object) -> TokenStream {
    let (name, id, library) = (&object.name, &object.id.name, &object.library);
    let id_type = &object.id.ty;
    let at_id = at(id_type.span(), library);
    let id_kind = quote_spanned!(id_type.span()=> <#id_type as #at_id::IdValue>::ID_KIND);
    let [version, min_version] = [object.version, object.min_version].map(Literal::u32_suffixed);
    let priority = object.priority;
    let restricted = object.restricted.then(|| quote!(.restricted()));
    let columns = object.columns.iter().map(|column| {
        let (field, default) = (field(column, library), default(column, object));
        let (name, was) = (&column.name, &column.was);
        quote! {
            #field
            #default
            #(let __fastsync_schema = __fastsync_schema.was(#name, #was);)*
        }
    });
    quote! {
        let __fastsync_schema = #library::TypeSchema::builder(#name, #id)
            .id_kind(#id_kind)
            .version(#version)
            .min_version(#min_version)
            .priority(#priority)
            #restricted;
        #(#columns)*
        __fastsync_schema.build()
    }
}

/// Adds the field to the schema.
fn field(Column { ty, name, storage, .. }: &Column, library: &Path) -> TokenStream {
    let kind = match storage {
        Storage::Value => {
            // Only the call is where the type is: a name would be another one there, if the type comes from a macro.
            let library = at(ty.span(), library);
            let column = quote_spanned!(ty.span()=> #library::object::__private::column::<#ty>);
            return quote! {
                let __fastsync_schema = #column(__fastsync_schema, #name);
            };
        }
        Storage::Text(_) => quote!(Text),
        Storage::Json(_) => quote!(Json),
    };
    let method = match storage {
        Storage::Text(Serde::Optional(_)) | Storage::Json(Serde::Optional(_)) => quote!(nullable_field),
        _ => quote!(field),
    };
    // Empty text is none of an enum's names.
    let zeroless = matches!(storage, Storage::Text(Serde::Required(_))).then(|| quote!(.zeroless(#name)));
    quote! {
        let __fastsync_schema =
            __fastsync_schema.#method(#name, #library::FieldKind::#kind) #zeroless;
    }
}

/// Gives the field its default, if it has one, as its values are given.
fn default(column: &Column, object: &Object) -> Option<TokenStream> {
    let Column { ty, name, default, .. } = column;
    let default = default.as_ref()?;
    let write = named(&write(column, &quote!(__fastsync_default), &object.library), object, name);
    let value = match (default, kind::option(ty)) {
        (Expr::Lit(ExprLit { lit: lit @ Lit::Str(_), .. }), inner) => {
            let ty = inner.unwrap_or(ty);
            let text = quote_spanned!(lit.span()=> <#ty as ::core::convert::From<&str>>::from(#lit));
            if inner.is_some() { quote!(::core::option::Option::Some(#text)) } else { text }
        }
        (Expr::Lit(literal), Some(_)) => quote!(::core::option::Option::Some(#literal)),
        (default, _) => quote!(#default),
    };
    Some(quote! {
        let __fastsync_default: #ty = #value;
        let __fastsync_schema = __fastsync_schema.default_value(#name, #write?);
    })
}

/// The value of a field that is at this place, as a `Result`.
fn write(Column { ty, storage, .. }: &Column, place: &TokenStream, library: &Path) -> TokenStream {
    let library = at(ty.span(), library);
    let (serde, function) = match storage {
        Storage::Value => {
            return quote_spanned!(ty.span()=> <#ty as #library::FieldValue>::to_value(&#place));
        }
        Storage::Text(serde) => (serde, quote!(to_text)),
        Storage::Json(serde) => (serde, quote!(to_json)),
    };
    match serde {
        Serde::Required(ty) => {
            quote_spanned!(ty.span()=> #library::object::__private::#function::<#ty>(&#place))
        }
        Serde::Optional(ty) => quote_spanned! {ty.span()=>
            #library::object::__private::to_option(
                &#place,
                #library::object::__private::#function::<#ty>,
            )
        },
    }
}

/// The field of a value, as a `Result`.
fn read(Column { ty, storage, .. }: &Column, local: &Ident, library: &Path) -> TokenStream {
    let library = at(ty.span(), library);
    let (serde, function) = match storage {
        Storage::Value => {
            return quote_spanned!(ty.span()=> <#ty as #library::FieldValue>::from_value(#local));
        }
        Storage::Text(serde) => (serde, quote!(from_text)),
        Storage::Json(serde) => (serde, quote!(from_json)),
    };
    match serde {
        Serde::Required(ty) => {
            quote_spanned!(ty.span()=> #library::object::__private::#function::<#ty>(#local))
        }
        Serde::Optional(ty) => quote_spanned! {ty.span()=>
            #library::object::__private::from_option(
                #local,
                #library::object::__private::#function::<#ty>,
            )
        },
    }
}

/// The result, with the name of the field in the error.
fn named(result: &TokenStream, object: &Object, field: &str) -> TokenStream {
    let context = format!("{}.{field}", object.name);
    let library = &object.library;
    quote!(#library::object::__private::named(#context, #result))
}
