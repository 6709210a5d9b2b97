//! Bar charts as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// How long it is.
    pub value: f64,
    /// The value as people read it.
    pub figure: String,
    /// Ours stand out.
    pub is_ours: bool,
}

const WIDTH: u32 = 760;
const ROW: u32 = 26;
const HEAD: u32 = 40;
const LABELS: i32 = 240;
const FIGURES: i32 = 90;

/// Draws horizontal bars, one below the other, each with its label and its value.
///
/// # Errors
/// The file cannot be written.
pub fn bars(file: &Path, title: &str, bars: &[Bar]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", file.display());
    let height = HEAD + ROW * u32::try_from(bars.len())? + 10;
    let root = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE).map_err(|error| failed(&error))?;
    let text = ("sans-serif", 14).into_font();
    root.draw(&Text::new(title.to_owned(), (10, 12), ("sans-serif", 16).into_font()))
        .map_err(|error| failed(&error))?;
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let space = f64::from(i32::try_from(WIDTH)? - LABELS - FIGURES);
    for (n, bar) in bars.iter().enumerate() {
        let top = i32::try_from(HEAD + ROW * u32::try_from(n)?)?;
        // Between 0 and the space.
        #[allow(clippy::cast_possible_truncation)]
        let length = ((bar.value / longest).clamp(0.0, 1.0) * space) as i32;
        let colour = if bar.is_ours { RGBColor(206, 92, 0) } else { RGBColor(136, 138, 133) };
        let shape = Rectangle::new([(LABELS, top), (LABELS + length.max(1), top + 18)], colour.filled());
        root.draw(&shape).map_err(|error| failed(&error))?;
        for (place, words) in
            [((10, top + 3), bar.label.clone()), ((LABELS + length + 8, top + 3), bar.figure.clone())]
        {
            root.draw(&Text::new(words, place, text.clone())).map_err(|error| failed(&error))?;
        }
    }
    root.present().map_err(|error| failed(&error))
}
