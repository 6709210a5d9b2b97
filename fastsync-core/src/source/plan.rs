//! What `prepare` would do, in values and in words.

use std::fmt;

use crate::model::{FieldName, TypeName};
use crate::schema::{FieldSchema, TypeSchema};

/// One change that [`SyncableDataSource::prepare`](super::SyncableDataSource::prepare) would make.
///
/// `Display` says it in one line, for a log or for whoever decides whether to go on.
///
/// ```
/// use fastsync_core::source::{PlannedChange, Preparation};
/// use fastsync_core::{FieldKind, MemoryDataSource, SyncableDataSource, SyncableDataSourceExt as _, TypeSchema};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> fastsync_core::Result<()> {
/// let source = MemoryDataSource::new();
/// let first = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
/// source.prepare(&[first], Preparation::Apply).await?;
///
/// let second = TypeSchema::builder("items", "id")
///     .field("label", FieldKind::Text)
///     .was("label", "name")
///     .field("size", FieldKind::Integer)
///     .version(2)
///     .build()?;
/// let planned: Vec<_> = source.plan(&[second]).await?.iter().map(PlannedChange::to_string).collect();
/// assert_eq!(
///     planned,
///     ["rename field items.name to label", "add field items.size", "note the schema of items, version 2 (was 1)"]
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlannedChange {
    /// The sync tables are not there yet.
    MakeSyncTables,
    /// An earlier release made the sync tables.
    UpgradeSyncTables {
        /// The version before the step.
        from: u32,
        /// The version after it.
        to: u32,
        /// What the step does.
        what: &'static str,
    },
    /// A type is new here.
    AddType {
        /// The type.
        type_name: TypeName,
    },
    /// The table or collection of a type is not there.
    MakeTable {
        /// The type.
        type_name: TypeName,
    },
    /// A table or collection of a new type's name is there already, and is used.
    AdoptTable {
        /// The type.
        type_name: TypeName,
    },
    /// A field is new, or comes back.
    AddField {
        /// The type.
        type_name: TypeName,
        /// The field.
        field: FieldName,
    },
    /// A field has another name; its values stay.
    RenameField {
        /// The type.
        type_name: TypeName,
        /// The name until now.
        from: FieldName,
        /// The name from now on.
        to: FieldName,
    },
    /// A field may be null that could not.
    AllowNull {
        /// The type.
        type_name: TypeName,
        /// The field.
        field: FieldName,
    },
    /// Records without a value for a field get one.
    FillField {
        /// The type.
        type_name: TypeName,
        /// The field.
        field: FieldName,
    },
    /// A field is gone from the type; its values stay, out of sight.
    LeaveField {
        /// The type.
        type_name: TypeName,
        /// The field.
        field: FieldName,
    },
    /// The stored objects of a type are changed by code ([`StoreBuilder::migrate`](crate::StoreBuilder::migrate)). No data
    /// source plans that.
    Migrate {
        /// The type.
        type_name: TypeName,
        /// The version that they are in.
        from: u32,
        /// The version that the last migration leads to.
        to: u32,
    },
    /// The type's schema replaces the one that is stored. The last change of a type that changes.
    NoteSchema {
        /// The type.
        type_name: TypeName,
        /// The version that the stored schema has.
        from: u32,
        /// The version that it gets.
        to: u32,
    },
}

impl PlannedChange {
    /// What becomes of a type that was prepared as `stored` when `wanted`, which does not contradict it (see
    /// [`TypeSchema::contradictions`]), takes its place; nothing if they are equal. For data sources. `left`: fields of
    /// earlier schemas that its records may still have.
    #[must_use]
    pub fn growth(stored: &TypeSchema, left: &[FieldSchema], wanted: &TypeSchema) -> Vec<Self> {
        if stored == wanted {
            return Vec::new();
        }
        let type_name = || wanted.name().clone();
        let mut changes = Vec::new();
        for field in wanted.fields() {
            let before = stored.continued(left, field);
            if let Some(before) = before.filter(|before| before.name != field.name) {
                let (from, to) = (before.name.clone(), field.name.clone());
                changes.push(Self::RenameField { type_name: type_name(), from, to });
            }
            let field_name = field.name.clone();
            match before.filter(|before| stored.position_of(&before.name).is_some()) {
                None => changes.push(Self::AddField { type_name: type_name(), field: field_name }),
                Some(before) if field.nullable && !before.nullable => {
                    changes.push(Self::AllowNull { type_name: type_name(), field: field_name });
                }
                Some(_) if stored.lacks(left, field) => {
                    changes.push(Self::FillField { type_name: type_name(), field: field_name });
                }
                Some(_) => {}
            }
        }
        let left_by = stored.left_by(left, wanted);
        for field in stored.fields().iter().filter(|field| left_by.contains(field)) {
            changes.push(Self::LeaveField { type_name: type_name(), field: field.name.clone() });
        }
        let (from, to) = (stored.version(), wanted.version());
        changes.push(Self::NoteSchema { type_name: type_name(), from, to });
        changes
    }

    /// The type that it is about; `None` of the sync tables.
    #[must_use]
    pub fn type_name(&self) -> Option<&TypeName> {
        match self {
            Self::MakeSyncTables | Self::UpgradeSyncTables { .. } => None,
            Self::AddType { type_name }
            | Self::MakeTable { type_name }
            | Self::AdoptTable { type_name }
            | Self::AddField { type_name, .. }
            | Self::RenameField { type_name, .. }
            | Self::AllowNull { type_name, .. }
            | Self::FillField { type_name, .. }
            | Self::LeaveField { type_name, .. }
            | Self::Migrate { type_name, .. }
            | Self::NoteSchema { type_name, .. } => Some(type_name),
        }
    }

    /// Adds changes that are not in the list yet: a type and its table may both have a reason for one. For data sources.
    pub fn add(planned: &mut Vec<Self>, changes: impl IntoIterator<Item = Self>) {
        for change in changes {
            if !planned.contains(&change) {
                planned.push(change);
            }
        }
    }
}

impl fmt::Display for PlannedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeSyncTables => write!(f, "make the sync tables"),
            Self::UpgradeSyncTables { from, to, what } => {
                write!(f, "upgrade the sync tables from version {from} to {to}: {what}")
            }
            Self::AddType { type_name } => write!(f, "add type {type_name}"),
            Self::MakeTable { type_name } => write!(f, "make table {type_name}"),
            Self::AdoptTable { type_name } => write!(f, "adopt table {type_name}, which is there already"),
            Self::AddField { type_name, field } => write!(f, "add field {type_name}.{field}"),
            Self::RenameField { type_name, from, to } => {
                write!(f, "rename field {type_name}.{from} to {to}")
            }
            Self::AllowNull { type_name, field } => write!(f, "let field {type_name}.{field} be null"),
            Self::FillField { type_name, field } => {
                write!(f, "give field {type_name}.{field} a value where there is none")
            }
            Self::LeaveField { type_name, field } => {
                write!(f, "leave out field {type_name}.{field}, whose values stay")
            }
            Self::Migrate { type_name, from, to } => {
                write!(f, "migrate the objects of {type_name} from version {from} to {to}")
            }
            Self::NoteSchema { type_name, from, to } => {
                write!(f, "note the schema of {type_name}, version {to} (was {from})")
            }
        }
    }
}
