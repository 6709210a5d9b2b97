//! Many pushers and some pullers on one database, from two processes: no record is missed and none comes twice.

mod audit;
mod broken;
mod puller;
mod pusher;
pub mod run;
mod worker;
