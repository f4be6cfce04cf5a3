//! Pictures as a crew's phone would send them, drawn on the spot: a house, its lawn, a door, what lies about, and
//! Pruvan's frame below (`frame_images`); the map of a Certified Service Record; the PDF of a survey. The same for the
//! same seed.
//!
//! A crate of its own, so that it is optimised where the rest isn't: in a build for development too a picture takes
//! some milliseconds.

mod canvas;
mod close_up;
mod house;
mod photo;
mod record;
mod report;
mod stage;

pub use photo::{SIZE, Scene, jpeg};
pub use record::{Record, Task, record};
pub use report::{Answered, Report, report};
