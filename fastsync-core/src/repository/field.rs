//! Fields by name and type, for filters and orders.

use std::fmt;

use crate::error::{Error, Result};
use crate::model::{FieldName, Value};
use crate::query::{Comparison, Filter, Order};

/// A stored field with values of type `V`. `#[derive(SyncableObject)]` makes a constant for each one except the id, named as the
/// field in capital letters.
///
/// The constant spells the field's name and fixes the type of values: a misspelt name and a value of another type do not compile.
/// It does not check that the query is for the same type; a query that names a field which its type has not is refused.
///
/// A number without a type is an `i32`: write `100_u32` unless the field is an `i32` or `i64`. A field that is stored as JSON is
/// compared by its text.
///
/// ```
/// use fastsync_core::{
///     MemoryDataSource, Repository, Selection, Store, SyncableObject, SyncableRepositoryExt,
/// };
///
/// #[derive(SyncableObject)]
/// struct City {
///     #[syncable(id)]
///     id: String,
///     name: String,
///     population: u32,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> fastsync_core::Result<()> {
/// let store = Store::client(MemoryDataSource::new()).register::<City>().open().await?;
/// let cities = Repository::<City>::new(&store);
/// for (id, name, population) in [("1", "Zug", 30_000), ("2", "Bern", 134_000), ("3", "Basel", 178_000)] {
///     cities.add(&City { id: id.into(), name: name.into(), population }).await?;
/// }
/// let large = Selection::matching(City::POPULATION.greater_or_equal(100_000_u32)?);
/// let found = cities.query(large.ordered(City::NAME.ascending()?)).await?;
/// assert_eq!(found.iter().map(|city| &*city.name).collect::<Vec<_>>(), ["Basel", "Bern"]);
/// # Ok(())
/// # }
/// ```
pub struct Field<V> {
    name: &'static str,
    to_value: fn(&V) -> Result<Value>,
}

impl<V> Field<V> {
    /// The field of this name, whose values are stored as `to_value` makes them: for types whose [`SyncableObject`] is not
    /// derived.
    ///
    /// [`SyncableObject`]: crate::SyncableObject
    #[must_use]
    pub const fn new(name: &'static str, to_value: fn(&V) -> Result<Value>) -> Self {
        Self { name, to_value }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Objects whose field equals this value.
    ///
    /// # Errors
    /// `InvalidInput` if the value cannot be stored, or if the field was made by hand with a name that is no field name.
    pub fn equal(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::Equal, value)
    }

    /// Objects whose field has a value other than this one.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn not_equal(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::NotEqual, value)
    }

    /// Objects whose field is less than this value.
    ///
    /// # Errors
    /// As [`Self::equal`]. The query fails if the field has no order ([`Query::admit`](crate::Query::admit)).
    pub fn less(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::Less, value)
    }

    /// Objects whose field is less than or equal to this value.
    ///
    /// # Errors
    /// As [`Self::less`].
    pub fn less_or_equal(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::LessOrEqual, value)
    }

    /// Objects whose field is greater than this value.
    ///
    /// # Errors
    /// As [`Self::less`].
    pub fn greater(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::Greater, value)
    }

    /// Objects whose field is greater than or equal to this value.
    ///
    /// # Errors
    /// As [`Self::less`].
    pub fn greater_or_equal(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::GreaterOrEqual, value)
    }

    /// Objects whose field equals one of these values.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn one_of(&self, values: impl IntoIterator<Item = impl Into<V>>) -> Result<Filter> {
        let values = values.into_iter().map(|value| self.value(value));
        Ok(Filter::In(self.field()?, values.collect::<Result<_>>()?))
    }

    /// Objects whose field has no value.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn is_null(&self) -> Result<Filter> {
        self.field().map(Filter::IsNull)
    }

    /// In the order of this field, smallest first.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn ascending(&self) -> Result<Order> {
        Ok(Order::new(self.field()?, false))
    }

    /// In the order of this field, largest first.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn descending(&self) -> Result<Order> {
        Ok(Order::new(self.field()?, true))
    }

    fn compare(&self, comparison: Comparison, value: impl Into<V>) -> Result<Filter> {
        Ok(Filter::Compare(self.field()?, comparison, self.value(value)?))
    }

    fn field(&self) -> Result<FieldName> {
        FieldName::new(self.name)
    }

    fn value(&self, value: impl Into<V>) -> Result<Value> {
        let name = |error: Error| error.with_context("field", self.name);
        (self.to_value)(&value.into()).map_err(name)
    }
}

impl Field<String> {
    /// Objects whose field begins with this text, byte for byte.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn starts_with(&self, text: impl Into<String>) -> Result<Filter> {
        Ok(Filter::StartsWith(self.field()?, text.into()))
    }

    /// Objects whose field contains this text, byte for byte.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn contains(&self, text: impl Into<String>) -> Result<Filter> {
        Ok(Filter::Contains(self.field()?, text.into()))
    }
}

impl<V> Clone for Field<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Field<V> {}

impl<V> fmt::Debug for Field<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Field").field(&self.name).finish()
    }
}
