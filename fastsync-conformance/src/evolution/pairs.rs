//! Pairs of types, as releases have them: for authors of data sources, who have no application of their own.
//!
//! Each module has the type as it was (`Old`) and as it becomes (`New`).
#![allow(missing_docs, reason = "the names of the fields say what they are")]

/// Fields are added that need no default.
pub mod added {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        pub stars: i64,
        pub note: Option<String>,
        pub title: String,
    }
}

/// Fields are added with a default, of kinds that need one and of kinds that do not.
pub mod defaulted {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        #[syncable(default = 7_i64)]
        pub stars: i64,
        #[syncable(default = uuid::Uuid::from_u128(1))]
        pub owner: uuid::Uuid,
        #[syncable(default = Some("none".to_owned()))]
        pub note: Option<String>,
        pub title: String,
    }
}

/// A field gets another name.
pub mod renamed {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
        pub label: String,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        #[syncable(was = "label")]
        pub text: String,
        pub title: String,
    }
}

/// A field becomes an `Option`.
pub mod optional {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
        pub note: String,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        pub note: Option<String>,
        pub title: String,
    }
}

/// A field is no `Option` any more.
pub mod required {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
        pub note: Option<String>,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        #[syncable(default = "-")]
        pub note: String,
        pub title: String,
    }
}

/// Whole numbers get wider, and stand in another order.
pub mod widened {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
        pub stars: u8,
        pub score: i32,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        pub score: i64,
        pub stars: i16,
        pub title: String,
    }
}

/// A field is removed.
pub mod removed {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
        pub label: String,
        pub stars: i64,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        pub stars: i64,
        pub title: String,
    }
}

/// One field becomes two, by a migration, and another one counts otherwise.
pub mod migrated {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
        pub label: String,
        pub stars: Option<i64>,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        #[syncable(was = "label")]
        pub text: String,
        pub first: String,
        #[syncable(json, default = Vec::new())]
        pub rest: Vec<String>,
        pub stars: Option<i64>,
    }

    /// Splits the title at its first blank, and counts stars by tens.
    #[must_use]
    pub fn migration() -> Migration {
        Migration::to(2, |task| {
            let title: String = task.get("title")?;
            let mut words = title.split(' ');
            task.set("first", words.next().unwrap_or_default())?;
            task.set_json("rest", &words.collect::<Vec<_>>())?;
            if let Some(stars) = task.get::<Option<i64>>("stars")? {
                task.set("stars", stars.saturating_mul(10))?;
            }
            let label: String = task.get("label")?;
            task.set("text", format!("{label}!"))
        })
        .had::<String>("title")
    }
}

/// Everything at once, but for a field that is removed.
pub mod everything {
    use fastsync_core::*;

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks")]
    pub struct Old {
        #[syncable(id)]
        pub id: String,
        pub title: String,
        pub label: String,
        pub note: Option<String>,
        pub stars: u8,
        pub share: f64,
    }

    #[derive(Debug, Clone, PartialEq, SyncableObject)]
    #[syncable(name = "tasks", version = 2)]
    pub struct New {
        #[syncable(id)]
        pub id: String,
        #[syncable(was = "label")]
        pub text: String,
        #[syncable(default = "-")]
        pub note: String,
        pub stars: i64,
        pub share: Option<f64>,
        #[syncable(default = uuid::Uuid::from_u128(1))]
        pub owner: uuid::Uuid,
        pub title: String,
    }
}
