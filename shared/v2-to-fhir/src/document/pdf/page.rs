//! What a page shows (ISO 32000-1, sections 8.4 and 9.4): text in fonts at places.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::budget::{Budget, EACH};
use super::file::File;
use super::font::Font;
use super::layout::{self, Piece};
use super::lexer::{Dictionary, Lexer, Object, is_space};

/// Operands of one operator that are kept.
const OPERANDS: usize = 64;
/// Graphics states that are kept.
const STATES: usize = 64;
/// Forms within forms.
const DEPTH: usize = 8;
/// Fonts that are kept for the next page.
const FONTS: usize = 256;
/// What it costs to read one, beside what it is written in: its table of codes.
const FONT: usize = 1 << 12;

/// A transformation: x' = a x + c y + e, y' = b x + d y + f.
#[derive(Debug, Clone, Copy)]
struct Matrix([f64; 6]);

impl Matrix {
    const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    fn shift(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    fn of(numbers: &[Object]) -> Option<Self> {
        let mut out = [0.0; 6];
        for (place, number) in out.iter_mut().zip(numbers.get(..6)?) {
            *place = number.number()?;
        }
        Some(Self(out))
    }

    /// This one first, then `then`.
    fn then(self, then: Self) -> Self {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (self.0, then.0);
        Self([
            a * g + b * i,
            a * h + b * j,
            c * g + d * i,
            c * h + d * j,
            e * g + f * i + k,
            e * h + f * j + l,
        ])
    }
}

#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    scale: f64,
    leading: f64,
    rise: f64,
}

impl State {
    fn new(matrix: Matrix) -> Self {
        Self {
            matrix,
            font: None,
            size: 0.0,
            char_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }
}

/// Reads pages; fonts are read once.
pub(super) struct Reader<'f, 'd> {
    file: &'f File<'d>,
    fonts: HashMap<u32, Rc<Font>>,
    pieces: Vec<Piece>,
    /// Codes that show a character, and codes of which the file does not say what they show.
    pub(super) known: usize,
    pub(super) unknown: usize,
    pub(super) pictures: usize,
    /// Streams of content that could not be decoded.
    pub(super) damaged: usize,
}

impl<'f, 'd> Reader<'f, 'd> {
    pub(super) fn new(file: &'f File<'d>) -> Self {
        Self {
            file,
            fonts: HashMap::new(),
            pieces: Vec::new(),
            known: 0,
            unknown: 0,
            pictures: 0,
            damaged: 0,
        }
    }

    /// The text of a page, with the resources that it inherits.
    pub(super) fn page(&mut self, page: &Dictionary, inherited: &Dictionary, budget: &mut Budget) -> String {
        let content = match page.get("Contents") {
            Some(contents) => self.content(contents, budget),
            None => Vec::new(),
        };
        let own = self.file.dictionary(page, "Resources", budget);
        let resources = own.as_deref().unwrap_or(inherited);
        self.run(&content, resources, State::new(Matrix::IDENTITY), DEPTH, budget);
        self.annotations(page, resources, budget);
        layout::lines(std::mem::take(&mut self.pieces))
    }

    fn content(&mut self, contents: &Object, budget: &mut Budget) -> Vec<u8> {
        let list = match self.file.resolve(contents, budget).map(Cow::into_owned) {
            Some(Object::Array(list)) => list,
            _ => vec![contents.clone()],
        };
        let mut content = Vec::new();
        for part in &list {
            match self.file.stream(part, budget) {
                Some((_, data)) => {
                    content.extend_from_slice(&data);
                    content.push(b'\n');
                }
                None => self.damaged += 1,
            }
        }
        content
    }

    /// Fields of forms and notes are drawn beside the page, each by a stream of its own.
    fn annotations(&mut self, page: &Dictionary, resources: &Dictionary, budget: &mut Budget) {
        for annotation in &self.file.list(page, "Annots", budget) {
            let annotation = self.file.resolve(annotation, budget);
            let Some(Object::Dictionary(annotation)) = annotation.as_deref() else { continue };
            let Some(appearance) = self.file.dictionary(annotation, "AP", budget) else { continue };
            let rectangle = self.file.list(annotation, "Rect", budget);
            let side = |n: usize| rectangle.get(n).and_then(Object::number).unwrap_or_default();
            if let Some(form) = appearance.get("N") {
                let state = State::new(Matrix::shift(side(0), side(1)));
                self.form(form, resources, &state, DEPTH, budget);
            }
        }
    }

    fn form(
        &mut self,
        form: &Object,
        resources: &Dictionary,
        state: &State,
        depth: usize,
        budget: &mut Budget,
    ) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let Some((dictionary, content)) = self.file.stream(form, budget) else { return };
        let matrix = Matrix::of(&self.file.list(&dictionary, "Matrix", budget)).unwrap_or(Matrix::IDENTITY);
        let own = self.file.dictionary(&dictionary, "Resources", budget);
        let state = State { matrix: matrix.then(state.matrix), ..state.clone() };
        self.run(&content, own.as_deref().unwrap_or(resources), state, depth, budget);
    }

    fn font(&mut self, name: &[u8], resources: &Dictionary, budget: &mut Budget) -> Option<Rc<Font>> {
        let fonts = self.file.dictionary(resources, "Font", budget)?;
        let font = fonts.get(std::str::from_utf8(name).ok()?)?;
        if let Object::Reference(id) = font
            && let Some(known) = self.fonts.get(id)
        {
            return Some(known.clone());
        }
        // A font that is not kept is read each time it is named.
        budget.work(FONT)?;
        let dictionary = self.file.resolve(font, budget)?;
        let Object::Dictionary(dictionary) = &*dictionary else { return None };
        let read = Rc::new(Font::read(self.file, dictionary, budget));
        if let Object::Reference(id) = font
            && self.fonts.len() < FONTS
        {
            self.fonts.insert(*id, read.clone());
        }
        Some(read)
    }

    fn run(
        &mut self,
        content: &[u8],
        resources: &Dictionary,
        state: State,
        depth: usize,
        budget: &mut Budget,
    ) {
        let mut lexer = Lexer::new(content, 0);
        let mut operands: Vec<Object> = Vec::new();
        let mut run = Run { state, kept: Vec::new(), line: Matrix::IDENTITY, text: Matrix::IDENTITY };
        loop {
            let operator = match lexer.object(budget) {
                Some(Object::Word(word)) => word,
                Some(operand) => {
                    if operands.len() < OPERANDS {
                        operands.push(operand);
                    }
                    continue;
                }
                // What does not end is not the end of the page, as long as there is more and it may be read.
                None if lexer.rest().is_empty() || budget.work(1).is_none() => return,
                None => {
                    lexer.at += 1;
                    continue;
                }
            };
            let number = |n: usize| operands.get(n).and_then(Object::number).unwrap_or_default();
            match operator.as_slice() {
                b"q" if run.kept.len() < STATES => run.kept.push(run.state.clone()),
                b"Q" => run.state = run.kept.pop().unwrap_or(run.state),
                b"cm" => {
                    if let Some(matrix) = Matrix::of(&operands) {
                        run.state.matrix = matrix.then(run.state.matrix);
                    }
                }
                b"BT" => run.move_to(Matrix::IDENTITY),
                b"Tf" => {
                    let name = operands.first().and_then(Object::name);
                    run.state.font = name.and_then(|name| self.font(name, resources, budget));
                    run.state.size = number(1);
                }
                b"Tc" => run.state.char_space = number(0),
                b"Tw" => run.state.word_space = number(0),
                b"Tz" => run.state.scale = number(0) / 100.0,
                b"TL" => run.state.leading = number(0),
                b"Ts" => run.state.rise = number(0),
                b"Tm" => {
                    if let Some(matrix) = Matrix::of(&operands) {
                        run.move_to(matrix);
                    }
                }
                b"Td" => run.next(number(0), number(1)),
                b"TD" => {
                    run.state.leading = -number(1);
                    run.next(number(0), number(1));
                }
                b"T*" => run.next(0.0, -run.state.leading),
                b"Tj" | b"TJ" => self.show(&mut run, operands.first(), budget),
                b"'" | b"\"" => {
                    if operator == b"\"" {
                        run.state.word_space = number(0);
                        run.state.char_space = number(1);
                    }
                    run.next(0.0, -run.state.leading);
                    self.show(&mut run, operands.last(), budget);
                }
                b"Do" => {
                    let name =
                        operands.first().and_then(Object::name).and_then(|n| std::str::from_utf8(n).ok());
                    let objects = self.file.dictionary(resources, "XObject", budget);
                    if let Some(object) =
                        objects.as_deref().zip(name).and_then(|(objects, name)| objects.get(name))
                    {
                        if self.file.is_of(object, "Form", budget) {
                            self.form(object, resources, &run.state, depth, budget);
                        } else if self.file.is_of(object, "Image", budget) {
                            self.pictures += 1;
                        }
                    }
                }
                b"BI" => {
                    self.pictures += 1;
                    inline_image(&mut lexer, budget);
                }
                _ => {}
            }
            operands.clear();
        }
    }

    /// Shows a text, or texts with moves between them.
    fn show(&mut self, run: &mut Run, shown: Option<&Object>, budget: &mut Budget) {
        let parts = match shown {
            Some(Object::Array(parts)) => parts.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => return,
        };
        for part in parts {
            match part {
                Object::Number(back) => run.advance(-back / 1000.0 * run.state.size * run.state.scale),
                Object::Text(text) => {
                    let (Some(font), Some(())) = (run.state.font.clone(), budget.work(text.len())) else {
                        continue;
                    };
                    self.text(run, &font, text, budget);
                }
                _ => {}
            }
        }
    }

    fn text(&mut self, run: &mut Run, font: &Font, bytes: &[u8], budget: &mut Budget) {
        let (turn, left, base, size) = run.place();
        let mut shown = String::new();
        for glyph in font.glyphs(bytes) {
            match &glyph.text {
                Some(text) => {
                    self.known += 1;
                    shown.push_str(text);
                }
                None => {
                    self.unknown += 1;
                    shown.push('\u{fffd}');
                }
            }
            let state = &run.state;
            let spaces = state.char_space + if glyph.blank { state.word_space } else { 0.0 };
            run.advance((glyph.width * state.size + spaces) * state.scale);
        }
        if shown.is_empty() || budget.text(shown.len() + EACH).is_none() {
            return;
        }
        let (_, right, ..) = run.place();
        // Most texts are drawn a few letters at a time.
        if let Some(last) = self.pieces.last_mut()
            && last.turn == turn
            && (last.base - base).abs() < 0.01 * size
            && (last.size - size).abs() < 0.01 * size
            && (-0.1..0.15).contains(&((left - last.right) / size))
        {
            last.text.push_str(&shown);
            last.right = right;
            return;
        }
        self.pieces.push(Piece { turn, left, right, base, size, text: shown });
    }
}

/// The state of one stream of content.
struct Run {
    state: State,
    kept: Vec<State>,
    line: Matrix,
    text: Matrix,
}

impl Run {
    fn move_to(&mut self, matrix: Matrix) {
        (self.line, self.text) = (matrix, matrix);
    }

    fn next(&mut self, x: f64, y: f64) {
        self.move_to(Matrix::shift(x, y).then(self.line));
    }

    fn advance(&mut self, by: f64) {
        self.text = Matrix::shift(by, 0.0).then(self.text);
    }

    /// Where the next letter stands: quarter turns, x and y on the turned page, and the size of the letter.
    fn place(&self) -> (u8, f64, f64, f64) {
        let [a, b, c, d, x, y] =
            Matrix::shift(0.0, self.state.rise).then(self.text).then(self.state.matrix).0;
        let size = self.state.size.abs() * c.hypot(d);
        let size = if size.is_finite() && size > 0.0 { size } else { 1.0 };
        if a.abs() >= b.abs() {
            if a >= 0.0 { (0, x, y, size) } else { (2, -x, -y, size) }
        } else if b > 0.0 {
            (1, y, -x, size)
        } else {
            (3, -y, x, size)
        }
    }
}

/// Goes past a picture within the content: `BI … ID` bytes `EI`.
fn inline_image(lexer: &mut Lexer<'_>, budget: &mut Budget) {
    while let Some(object) = lexer.object(budget) {
        if object == Object::Word(b"ID".to_vec()) {
            break;
        }
    }
    let rest = lexer.rest();
    let end = memchr::memmem::find_iter(rest, b"EI").find(|at| {
        let space = |at: Option<usize>| at.and_then(|at| rest.get(at)).is_none_or(|b| is_space(*b));
        space(at.checked_sub(1)) && space(Some(at + 2))
    });
    let length = end.map_or(rest.len(), |at| at + 2);
    // What cannot be paid for is not looked at again either.
    let _ = budget.work(length);
    lexer.at += length;
}
