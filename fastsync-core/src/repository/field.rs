//! Fields by name and type, for filters and orders.

use std::fmt;
use std::marker::PhantomData;

use crate::error::{Error, Result};
use crate::model::{FieldName, Value};
use crate::query::{Comparison, Filter, Order};

/// A field of a type `O`, of values `V`: `#[derive(SyncableObject)]` makes a constant of each one, named as the field in capital
/// letters.
///
/// A filter or an order by it names no field that is not there, and compares with no value of another type.
///
/// ```
/// use fastsync_core::{
///     MemoryDataSource, Repository, Selection, Store, SyncableObject, SyncableRepository,
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
pub struct Field<O, V> {
    name: &'static str,
    to_value: fn(&V) -> Result<Value>,
    of: PhantomData<fn() -> O>,
}

impl<O, V> Field<O, V> {
    /// The field of this name, whose values are stored as `to_value` makes them: for types whose [`SyncableObject`] is not
    /// derived.
    ///
    /// [`SyncableObject`]: crate::SyncableObject
    #[must_use]
    pub const fn new(name: &'static str, to_value: fn(&V) -> Result<Value>) -> Self {
        Self { name, to_value, of: PhantomData }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The objects of which it equals this value.
    ///
    /// # Errors
    /// `InvalidInput` if the value cannot be stored, or if the field was made by hand with a name that is no field name.
    pub fn equal(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::Equal, value)
    }

    /// The objects of which it has a value, and another one.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn not_equal(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::NotEqual, value)
    }

    /// The objects of which it is less.
    ///
    /// # Errors
    /// As [`Self::equal`]. The query fails if the field has no order ([`Query::admit`](crate::Query::admit)).
    pub fn less(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::Less, value)
    }

    /// The objects of which it is less or equal.
    ///
    /// # Errors
    /// As [`Self::less`].
    pub fn less_or_equal(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::LessOrEqual, value)
    }

    /// The objects of which it is greater.
    ///
    /// # Errors
    /// As [`Self::less`].
    pub fn greater(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::Greater, value)
    }

    /// The objects of which it is greater or equal.
    ///
    /// # Errors
    /// As [`Self::less`].
    pub fn greater_or_equal(&self, value: impl Into<V>) -> Result<Filter> {
        self.compare(Comparison::GreaterOrEqual, value)
    }

    /// The objects of which it equals one of these values.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn one_of(&self, values: impl IntoIterator<Item = impl Into<V>>) -> Result<Filter> {
        let values = values.into_iter().map(|value| self.value(value));
        Ok(Filter::In(self.field()?, values.collect::<Result<_>>()?))
    }

    /// The objects of which it has no value.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn is_null(&self) -> Result<Filter> {
        self.field().map(Filter::IsNull)
    }

    /// From the least up.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn ascending(&self) -> Result<Order> {
        Ok(Order::new(self.field()?, false))
    }

    /// From the greatest down.
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

impl<O> Field<O, String> {
    /// The objects of which it begins with this text, byte for byte.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn starts_with(&self, text: impl Into<String>) -> Result<Filter> {
        Ok(Filter::StartsWith(self.field()?, text.into()))
    }

    /// The objects of which it contains this text, byte for byte.
    ///
    /// # Errors
    /// As [`Self::equal`].
    pub fn contains(&self, text: impl Into<String>) -> Result<Filter> {
        Ok(Filter::Contains(self.field()?, text.into()))
    }
}

impl<O, V> Clone for Field<O, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, V> Copy for Field<O, V> {}

impl<O, V> fmt::Debug for Field<O, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Field").field(&self.name).finish()
    }
}
