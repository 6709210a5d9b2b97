//! Many pushers and some pullers on one storage, from two processes: no record is missed and none comes twice.

mod audit;
mod broken;
mod disturbance;
mod disturbance_postgres;
mod outage;
mod puller;
mod pusher;
pub mod run;
mod victims;
mod worker;
