//! Types that are not prepared as they should be.

use fastsync_core::source::{
    Action, Clear, Commit, Expect, OnMismatch, Preparation, SyncableDataSourceExt as _, Write,
};
use fastsync_core::{
    Error, ErrorKind, FieldKind, FieldSchema, IdKind, Query, Record, Result, SyncableDataSource, TypeName,
    TypeSchema, Value, Zone,
};

use super::broken::Broken;
use super::bugs::Bug;

/// The same schema with other fields.
fn with_fields(schema: &TypeSchema, fields: Vec<FieldSchema>) -> TypeSchema {
    let builder = TypeSchema::builder(schema.name().as_str(), schema.id_field().as_str())
        .id_kind(schema.id_kind())
        .version(schema.version())
        .priority(schema.priority());
    let builder = if schema.fits(&Zone::Global) { builder } else { builder.restricted() };
    let builder = fields.into_iter().fold(builder, |builder, field| {
        let name = field.name.as_str();
        let builder = if field.nullable {
            builder.nullable_field(name, field.kind)
        } else {
            builder.field(name, field.kind)
        };
        let builder = if field.zeroless { builder.zeroless(name) } else { builder };
        let builder = field.was.iter().fold(builder, |builder, was| builder.was(name, was.as_str()));
        match field.default {
            Some(default) => builder.default_value(name, default),
            None => builder,
        }
    });
    builder.build().unwrap()
}

fn made_up(field: &FieldSchema) -> Value {
    match field.kind {
        FieldKind::Uuid => uuid::Uuid::nil().to_string().into(),
        FieldKind::Instant => "1970-01-01T00:00:00Z".into(),
        FieldKind::Json => Value::Json("[]".into()),
        _ => field.zero(),
    }
}

fn put_again(record: Record) -> Write {
    Write {
        action: Action::Put { record, pending: false },
        expect: Expect::Anything,
        on_mismatch: OnMismatch::Abort,
    }
}

impl Broken {
    pub(super) async fn prepare_with_bug(&self, types: &[TypeSchema]) -> Result<()> {
        let known = self.notes(|notes| notes.types.clone());
        let is_known = |schema: &TypeSchema| known.contains_key(schema.name());
        let forgotten: Vec<&TypeName> = match self.bug {
            Bug::PrepareClears => known.keys().collect(),
            Bug::PrepareForgetsOtherTypes => {
                known.keys().filter(|name| types.iter().all(|schema| schema.name() != *name)).collect()
            }
            _ => Vec::new(),
        };
        for name in forgotten {
            for zone in [fastsync_conformance::acme(), Zone::Global] {
                self.forget(name, &zone).await?;
            }
        }
        let mut types = types.to_vec();
        match self.bug {
            Bug::NewTypesAreIgnored if !known.is_empty() => types.retain(is_known),
            Bug::NewFieldsAreNull => {
                for schema in types.iter_mut().filter(|schema| is_known(schema)) {
                    let old = known[schema.name()].fields();
                    let mut fields = schema.fields().to_vec();
                    for field in &mut fields {
                        field.nullable |= old.iter().all(|old| old.name != field.name);
                    }
                    *schema = with_fields(schema, fields);
                }
            }
            Bug::DefaultsAreMadeUp | Bug::NullsStay | Bug::DefaultsAreIgnored => {
                for schema in types.iter_mut().filter(|schema| is_known(schema)) {
                    let mut fields = schema.fields().to_vec();
                    for field in fields.iter_mut().filter(|field| known[schema.name()].lacks(&[], field)) {
                        match self.bug {
                            Bug::NullsStay => field.nullable = true,
                            Bug::DefaultsAreIgnored if field.nullable => field.default = None,
                            Bug::DefaultsAreIgnored => field.default = Some(made_up(field)),
                            _ if field.nullable || field.default.is_some() => {}
                            _ => field.default = Some(made_up(field)),
                        }
                    }
                    *schema = with_fields(schema, fields);
                }
            }
            Bug::RenamesAreIgnored => {
                for schema in &mut types {
                    let mut fields = schema.fields().to_vec();
                    fields.iter_mut().for_each(|field| field.was.clear());
                    *schema = with_fields(schema, fields);
                }
            }
            Bug::NullabilityCannotChange => {
                for schema in types.iter().filter(|schema| is_known(schema)) {
                    let old = known[schema.name()].fields();
                    let is_other = |field: &FieldSchema| {
                        old.iter().any(|old| old.name == field.name && old.nullable != field.nullable)
                    };
                    if schema.fields().iter().any(is_other) {
                        return Err(Error::new(ErrorKind::Config, "prepare", "a field changes"));
                    }
                }
            }
            Bug::DatesAreText | Bug::DecimalsAreText | Bug::WidthsAreIgnored => {
                for schema in &mut types {
                    let mut fields = schema.fields().to_vec();
                    for field in &mut fields {
                        field.kind = match field.kind {
                            kind if kind.is_integer() && self.is(Bug::WidthsAreIgnored) => FieldKind::Integer,
                            kind if kind.text_bytes().is_some() && self.is(Bug::DatesAreText) => {
                                FieldKind::Text
                            }
                            FieldKind::Decimal if self.is(Bug::DecimalsAreText) => FieldKind::Text,
                            kind => kind,
                        };
                    }
                    *schema = with_fields(schema, fields);
                }
            }
            Bug::IdsAreAnyText => {
                for schema in &mut types {
                    let mut builder = TypeSchema::builder(schema.name().as_str(), "id").restricted();
                    for field in schema.fields() {
                        builder = builder.field(field.name.as_str(), field.kind);
                    }
                    if schema.id_kind() != IdKind::Text {
                        *schema = builder.build().unwrap();
                    }
                }
            }
            Bug::KindsCannotChange => {
                for schema in types.iter().filter(|schema| is_known(schema)) {
                    let old = known[schema.name()].fields();
                    let is_other = |field: &FieldSchema| {
                        old.iter().any(|old| old.name == field.name && old.kind != field.kind)
                    };
                    if schema.fields().iter().any(is_other) {
                        return Err(Error::new(ErrorKind::Config, "prepare", "a kind changes"));
                    }
                }
            }
            Bug::TheLastOfTwoSchemasCounts => {
                let all = types.clone();
                let is_last = |at: usize| all[at + 1..].iter().all(|later| later.name() != all[at].name());
                let mut at = 0..;
                types.retain(|_| at.next().is_some_and(is_last));
            }
            Bug::FieldsKeepTheirFirstOrder => {
                for schema in &mut types {
                    if let Some(old) = known.get(schema.name())
                        && old.fields().len() == schema.fields().len()
                    {
                        *schema = old.clone();
                    }
                }
            }
            _ => {}
        }
        let result = match self.inner.prepare(&types, Preparation::Apply).await.map(drop) {
            Err(_) if self.is(Bug::ContradictionsAreTaken) => Ok(()),
            Err(error) if self.is(Bug::OneContradictionIsNamed) => {
                let first = error.message().split(';').next().unwrap_or_default();
                Err(Error::new(error.kind(), "prepare", first))
            }
            result => result,
        };
        if result.is_ok()
            && matches!(self.bug, Bug::FieldsThatAreGoneAreForgotten | Bug::DefaultsChangeRecords)
        {
            for schema in types.iter().filter(|schema| is_known(schema)) {
                self.write_again(&known[schema.name()], schema).await?;
            }
        }
        if result.is_ok() {
            let types = types.into_iter().map(|schema| (schema.name().clone(), schema));
            let types: Vec<_> = types.collect();
            self.prepared.lock().unwrap().extend(types.iter().cloned());
            self.notes(|notes| notes.types.extend(types));
        }
        result
    }

    /// Writes every record as it is read, which leaves no trace of fields that are gone.
    async fn write_again(&self, before: &TypeSchema, schema: &TypeSchema) -> Result<()> {
        let all = Query::all(schema.name().clone(), fastsync_conformance::acme());
        let mut found = self.inner.find(&all).await?.records;
        for (at, field) in schema.fields().iter().enumerate().filter(|_| self.is(Bug::DefaultsChangeRecords))
        {
            let Some(old) = before.fields().iter().find(|old| old.name == field.name) else { continue };
            for value in found.iter_mut().filter_map(|record| record.body.as_mut()?.get_mut(at)) {
                if *value == old.initial() {
                    *value = field.initial();
                }
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        self.inner.commit_alone(self.of_its_own(found.into_iter().map(put_again).collect())).await.map(drop)
    }

    async fn forget(&self, type_name: &TypeName, zone: &Zone) -> Result<()> {
        let clear = Clear { type_name: type_name.clone(), zone: zone.clone(), through_change: u64::MAX };
        self.inner.commit_alone(Commit { clears: vec![clear], ..self.of_its_own(vec![]) }).await.map(drop)
    }
}
