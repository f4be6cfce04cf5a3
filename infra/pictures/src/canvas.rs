//! What the pictures are drawn with: shapes in units of an 800 x 600 picture, whatever its size, and text.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};
use tiny_skia::{FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Point, Rect, Stroke, Transform};

/// Red, green, blue, and how opaque.
pub type Ink = [u8; 4];

/// An opaque colour from its hexadecimal form, `0xRRGGBB`.
pub const fn ink(hex: u32) -> Ink {
    [(hex >> 16) as u8, (hex >> 8) as u8, hex as u8, 255]
}

/// Lighter above 1, darker below.
pub fn shade([red, green, blue, alpha]: Ink, factor: f32) -> Ink {
    let part = |part: u8| (f32::from(part) * factor).clamp(0.0, 255.0) as u8;
    [part(red), part(green), part(blue), alpha]
}

/// The same, letting through what is behind.
pub fn sheer([red, green, blue, _]: Ink, alpha: u8) -> Ink {
    [red, green, blue, alpha]
}

/// Numbers that look random and are the same for a seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// The next one (splitmix64).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` up to `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (self.next() >> 40) as f32 / (1u64 << 24) as f32 * (high - low)
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// One of these inks; black if there are none.
    pub fn pick(&mut self, of: &[Ink]) -> Ink {
        of.get((self.next() % of.len().max(1) as u64) as usize).copied().unwrap_or([0, 0, 0, 255])
    }
}

/// A picture in the making.
pub struct Canvas {
    pixmap: Pixmap,
    /// Of units to pixels.
    scale: Transform,
    /// Of what is drawn to units: the camera.
    view: Transform,
}

impl Canvas {
    /// A blank one of this size in pixels, 800 units wide and `height` units high; `None` if it has no size.
    pub fn new(size: (u32, u32), height: f32) -> Option<Canvas> {
        let pixmap = Pixmap::new(size.0, size.1)?;
        let scale = Transform::from_scale(size.0 as f32 / 800.0, size.1 as f32 / height);
        Some(Canvas { pixmap, scale, view: Transform::identity() })
    }

    /// Moves and enlarges what is drawn from now on, as a camera does: about the middle of the ground line.
    pub fn look(&mut self, dx: f32, dy: f32, zoom: f32) {
        self.view =
            Transform::from_translate(-400.0, -330.0).post_scale(zoom, zoom).post_translate(400.0 + dx, 330.0 + dy);
    }

    /// Draws in plain units again.
    pub fn look_straight(&mut self) {
        self.view = Transform::identity();
    }

    /// The picture as a JPEG of this quality, from 1 to 100; no bytes at all if JPEG has no room for its size.
    pub fn jpeg(&self, quality: u8) -> Vec<u8> {
        let (width, height) = (self.pixmap.width(), self.pixmap.height());
        let mut out = Vec::with_capacity(64 * 1024);
        let mut encoder = jpeg_encoder::Encoder::new(&mut out, quality);
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
        let (width, height) = (u16::try_from(width).unwrap_or(u16::MAX), u16::try_from(height).unwrap_or(u16::MAX));
        // It fails for sizes only, which are as given to the pixmap.
        match encoder.encode(self.pixmap.data(), width, height, jpeg_encoder::ColorType::Rgba) {
            Ok(()) => out,
            Err(_) => Vec::new(),
        }
    }

    fn fill(&mut self, path: Option<Path>, paint: &Paint<'_>) {
        if let Some(path) = path {
            self.pixmap.fill_path(&path, paint, FillRule::Winding, self.view.post_concat(self.scale), None);
        }
    }

    pub fn polygon(&mut self, points: &[(f32, f32)], ink: Ink) {
        self.polygons([points], ink);
    }

    /// Many polygons at once, which is much quicker than one by one.
    pub fn polygons<'a>(&mut self, all: impl IntoIterator<Item = &'a [(f32, f32)]>, ink: Ink) {
        let mut builder = PathBuilder::new();
        for points in all {
            for (index, (x, y)) in points.iter().enumerate() {
                if index == 0 { builder.move_to(*x, *y) } else { builder.line_to(*x, *y) }
            }
            builder.close();
        }
        self.fill(builder.finish(), &plain(ink));
    }

    pub fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, ink: Ink) {
        self.polygon(&[(x, y), (x + width, y), (x + width, y + height), (x, y + height)], ink);
    }

    /// Many rectangles of one colour: x, y, width, height.
    pub fn rects(&mut self, all: impl IntoIterator<Item = (f32, f32, f32, f32)>, ink: Ink) {
        let corners: Vec<[(f32, f32); 4]> = all
            .into_iter()
            .map(|(x, y, width, height)| [(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
            .collect();
        self.polygons(corners.iter().map(<[_; 4]>::as_slice), ink);
    }

    /// A rectangle with round corners.
    pub fn round(&mut self, x: f32, y: f32, width: f32, height: f32, radius: f32, ink: Ink) {
        let (right, bottom) = (x + width, y + height);
        let mut builder = PathBuilder::new();
        builder.move_to(x + radius, y);
        builder.line_to(right - radius, y);
        builder.quad_to(right, y, right, y + radius);
        builder.line_to(right, bottom - radius);
        builder.quad_to(right, bottom, right - radius, bottom);
        builder.line_to(x + radius, bottom);
        builder.quad_to(x, bottom, x, bottom - radius);
        builder.line_to(x, y + radius);
        builder.quad_to(x, y, x + radius, y);
        builder.close();
        self.fill(builder.finish(), &plain(ink));
    }

    /// Ellipses of one colour: centre and radii.
    pub fn ellipses(&mut self, all: impl IntoIterator<Item = (f32, f32, f32, f32)>, ink: Ink) {
        let mut builder = PathBuilder::new();
        for (x, y, rx, ry) in all {
            if let Some(oval) = Rect::from_ltrb(x - rx, y - ry, x + rx, y + ry) {
                builder.push_oval(oval);
            }
        }
        self.fill(builder.finish(), &plain(ink));
    }

    pub fn ellipse(&mut self, x: f32, y: f32, rx: f32, ry: f32, ink: Ink) {
        self.ellipses([(x, y, rx, ry)], ink);
    }

    /// A rectangle that changes its colour from its top to its bottom, or from left to right.
    ///
    /// Pixel by pixel here: a general shader takes ten times as long for what is mostly the background.
    pub fn gradient(&mut self, (x, y, width, height): (f32, f32, f32, f32), across: bool, inks: &[Ink]) {
        let mut corners = [Point::from_xy(x, y), Point::from_xy(x + width, y + height)];
        self.view.post_concat(self.scale).map_points(&mut corners);
        let [from, to] = corners;
        let (wide, high) = (self.pixmap.width() as f32, self.pixmap.height() as f32);
        let within = |at: f32, end: f32| at.round().clamp(0.0, end) as usize;
        let (left, right) = (within(from.x, wide), within(to.x, wide));
        let (top, bottom) = (within(from.y, high), within(to.y, high));
        let mixed = |at: usize, from: f32, to: f32| mix(inks, (at as f32 + 0.5 - from) / (to - from).max(1.0));
        let columns: Vec<Ink> = (left..right).filter(|_| across).map(|at| mixed(at, from.x, to.x)).collect();
        let row_bytes = self.pixmap.width() as usize * 4;
        let rows = self.pixmap.data_mut().chunks_exact_mut(row_bytes.max(4)).enumerate();
        for (at, row) in rows.skip(top).take(bottom.saturating_sub(top)) {
            let Some(row) = row.get_mut(left * 4..right * 4) else { continue };
            let whole = mixed(at, from.y, to.y);
            for (index, pixel) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                over(pixel, columns.get(index).copied().unwrap_or(whole));
            }
        }
    }

    /// A line through these points.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, ink: Ink) {
        self.lines([points], width, ink);
    }

    /// Many lines of one colour.
    pub fn lines<'a>(&mut self, all: impl IntoIterator<Item = &'a [(f32, f32)]>, width: f32, ink: Ink) {
        let mut builder = PathBuilder::new();
        for points in all {
            for (index, (x, y)) in points.iter().enumerate() {
                if index == 0 { builder.move_to(*x, *y) } else { builder.line_to(*x, *y) }
            }
        }
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        if let Some(path) = builder.finish() {
            self.pixmap.stroke_path(&path, &plain(ink), &stroke, self.view.post_concat(self.scale), None);
        }
    }

    /// ASCII text, its left upper corner at `x`, `y`, its lines `height` high, all in units. Gives its width.
    pub fn text(&mut self, x: f32, y: f32, height: f32, bold: bool, text: &str, ink: Ink) -> f32 {
        let mut at = Point::from_xy(x, y);
        self.view.map_point(&mut at);
        let (x, y, height) = (at.x, at.y, height * self.view.sx);
        let advance = text_width(height, "0");
        for (index, letter) in text.chars().enumerate() {
            self.letter(x + advance * index as f32, y, height, bold, letter, ink);
        }
        text_width(height, text)
    }

    fn letter(&mut self, x: f32, y: f32, height: f32, bold: bool, letter: char, [red, green, blue, _]: Ink) {
        let weight = if bold { FontWeight::Bold } else { FontWeight::Regular };
        let glyph = get_raster(letter, weight, RasterHeight::Size32);
        let Some(glyph) = glyph.or_else(|| get_raster('?', weight, RasterHeight::Size32)) else { return };
        let (sx, sy) = (self.scale.sx, self.scale.sy);
        let (left, top) = ((x * sx).round() as i64, (y * sy).round() as i64);
        let (wide, high) = (text_width(height, "0") * sx, height * sy);
        let (step_x, step_y) = (glyph.width() as f32 / wide, 32.0 / high);
        let (width, bottom) = (i64::from(self.pixmap.width()), i64::from(self.pixmap.height()));
        let data = self.pixmap.data_mut();
        for row in 0..high.ceil() as i64 {
            for column in 0..wide.ceil() as i64 {
                let (px, py) = (left + column, top + row);
                if px < 0 || py < 0 || px >= width || py >= bottom {
                    continue;
                }
                let covered = coverage(&glyph, column as f32 * step_x, row as f32 * step_y, step_x, step_y);
                if covered < 0.01 {
                    continue;
                }
                let at = usize::try_from((py * width + px) * 4).unwrap_or(0);
                for (offset, part) in [red, green, blue].into_iter().enumerate() {
                    if let Some(pixel) = data.get_mut(at + offset) {
                        *pixel = (f32::from(*pixel) * (1.0 - covered) + f32::from(part) * covered) as u8;
                    }
                }
            }
        }
    }
}

/// How much of the area of the glyph from `x`, `y` on is ink: the mean of what a pixel covers, at least of its
/// neighbours.
fn coverage(glyph: &RasterizedChar, x: f32, y: f32, width: f32, height: f32) -> f32 {
    let at = |x: f32, y: f32| -> f32 {
        let cell = |column: i64, row: i64| {
            let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) else { return 0 };
            glyph.pixel(column, row).unwrap_or(0)
        };
        let (column, row) = (x.floor(), y.floor());
        let (fx, fy) = (x - column, y - row);
        let (column, row) = (column as i64, row as i64);
        let across = |row: i64| f32::from(cell(column, row)) * (1.0 - fx) + f32::from(cell(column + 1, row)) * fx;
        across(row) * (1.0 - fy) + across(row + 1) * fy
    };
    // Smaller than its raster it is read at two places each way, so that thin strokes don't fall between pixels.
    let (dx, dy) = (width / 2.0, height / 2.0);
    let sum =
        if width > 1.2 { (at(x, y) + at(x + dx, y) + at(x, y + dy) + at(x + dx, y + dy)) / 4.0 } else { at(x, y) };
    (sum / 255.0).min(1.0)
}

/// Of text whose lines are `height` high, in units.
pub fn text_width(height: f32, text: &str) -> f32 {
    height * 0.46 * text.chars().count() as f32
}

/// The colour so far (0 to 1) between the first and the last.
fn mix(inks: &[Ink], far: f32) -> Ink {
    let steps = inks.len().saturating_sub(1);
    let far = far.clamp(0.0, 1.0) * steps as f32;
    let first = (far as usize).min(steps.saturating_sub(1));
    let ink = |index: usize| inks.get(index).or(inks.last()).copied().unwrap_or([0; 4]);
    let (one, other, part) = (ink(first), ink(first + 1), far - first as f32);
    std::array::from_fn(|at| (f32::from(one[at]) + (f32::from(other[at]) - f32::from(one[at])) * part) as u8)
}

/// An ink over a pixel of an opaque picture.
fn over(pixel: &mut [u8; 4], [red, green, blue, alpha]: Ink) {
    let blend = |under: u8, over: u8| {
        let alpha = u16::from(alpha);
        ((u16::from(under) * (255 - alpha) + u16::from(over) * alpha + 127) / 255) as u8
    };
    *pixel = [blend(pixel[0], red), blend(pixel[1], green), blend(pixel[2], blue), 255];
}

fn plain([red, green, blue, alpha]: Ink) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, alpha);
    paint
}

/// At most so many letters.
pub fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(2)).chain("..".chars()).collect()
}

/// A number for a text (FNV-1a).
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
