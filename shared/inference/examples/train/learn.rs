//! Multinomial logistic regression by full-batch Adam, and its measures.

use wardstream_inference::heads::softmax;

/// A sparse row: index and value.
pub(crate) type Row = Vec<(usize, f32)>;

/// Weights, a row a feature, and biases.
#[derive(Debug, Clone)]
pub(crate) struct Regression {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Regression {
    pub(crate) fn logits(&self, row: &Row) -> Vec<f32> {
        let classes = self.bias.len();
        let mut logits = self.bias.clone();
        for &(index, value) in row {
            let weights = &self.weight[index * classes..(index + 1) * classes];
            logits.iter_mut().zip(weights).for_each(|(logit, weight)| *logit += weight * value);
        }
        logits
    }
}

/// A text of a training set: its row, its label, and how much it counts.
pub(crate) type Labelled<'r> = (&'r Row, usize, f32);

/// Fits with tempered class weights and an L2 penalty. Starts from zero, so no seed is needed.
pub(crate) fn fit(
    texts: &[Labelled<'_>],
    classes: usize,
    inputs: usize,
    l2: f32,
    epochs: usize,
) -> Regression {
    let mut counts = vec![0.0f32; classes];
    texts.iter().for_each(|(_, label, weight)| counts[*label] += weight);
    let total: f32 = counts.iter().sum();
    // The square root tempers the balance: rare labels are helped without drowning the others.
    let balance: Vec<f32> = counts.iter().map(|c| (total / (classes as f32 * c.max(1.0))).sqrt()).collect();
    let mut model = Regression { weight: vec![0.0; classes * inputs], bias: vec![0.0; classes] };
    let size = model.weight.len() + classes;
    let (mut first, mut second) = (vec![0.0f32; size], vec![0.0f32; size]);
    let mut gradient = vec![0.0f32; size];
    for epoch in 1..=epochs {
        gradient.iter_mut().zip(&model.weight).for_each(|(g, weight)| *g = l2 * weight);
        gradient[classes * inputs..].fill(0.0);
        for (row, label, weight) in texts {
            let mut error = softmax(&model.logits(row));
            error[*label] -= 1.0;
            error.iter_mut().for_each(|e| *e *= balance[*label] * weight / total);
            for &(index, value) in *row {
                let slot = &mut gradient[index * classes..(index + 1) * classes];
                slot.iter_mut().zip(&error).for_each(|(g, e)| *g += e * value);
            }
            gradient[classes * inputs..].iter_mut().zip(&error).for_each(|(g, e)| *g += e);
        }
        let rate = 0.08 * (1.0 - 0.9 * epoch as f32 / epochs as f32);
        let (c1, c2) = (1.0 - 0.9f32.powi(epoch as i32), 1.0 - 0.99f32.powi(epoch as i32));
        let parameters = model.weight.iter_mut().chain(&mut model.bias);
        for (((parameter, g), m), v) in parameters.zip(&gradient).zip(&mut first).zip(&mut second) {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.99 * *v + 0.01 * g * g;
            *parameter -= rate * (*m / c1) / ((*v / c2).sqrt() + 1e-8);
        }
    }
    model
}

/// Precision, recall and F1 of a label.
pub(crate) fn per_class(pairs: &[(usize, usize)], class: usize) -> (f32, f32, f32) {
    let hit = pairs.iter().filter(|(t, g)| *t == class && *g == class).count() as f32;
    let guessed = pairs.iter().filter(|(_, g)| *g == class).count() as f32;
    let real = pairs.iter().filter(|(t, _)| *t == class).count() as f32;
    let (precision, recall) = (hit / guessed.max(1.0), hit / real.max(1.0));
    (precision, recall, 2.0 * precision * recall / (precision + recall).max(1e-9))
}

/// Macro-averaged F1 over the labels that occur, of pairs of truth and guess.
pub(crate) fn macro_f1(pairs: &[(usize, usize)], classes: usize) -> f32 {
    let scores: Vec<f32> = (0..classes)
        .filter(|class| pairs.iter().any(|(t, _)| t == class))
        .map(|class| per_class(pairs, class).2)
        .collect();
    scores.iter().sum::<f32>() / scores.len().max(1) as f32
}

/// Expected calibration error of pairs of probability and success, with ten bins of equal width.
pub(crate) fn calibration(judged: &[(f32, bool)]) -> f32 {
    let gaps = bins(judged).into_iter().map(|(count, p, right)| (p - right).abs() * count);
    gaps.sum::<f32>() / judged.len().max(1) as f32
}

/// Ten bins by probability: how many, their mean probability, the share of those that were right.
pub(crate) fn bins(judged: &[(f32, bool)]) -> Vec<(f32, f32, f32)> {
    let mut bins = vec![(0.0f32, 0.0f32, 0.0f32); 10];
    for (p, right) in judged {
        let bin = &mut bins[((p * 10.0) as usize).min(9)];
        *bin = (bin.0 + 1.0, bin.1 + p, bin.2 + f32::from(u8::from(*right)));
    }
    bins.into_iter().map(|(n, p, right)| (n, p / n.max(1.0), right / n.max(1.0))).collect()
}

/// Splitmix64: the same numbers on every machine.
pub(crate) fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The middle 95 % of a measure over 1,000 draws of the items with replacement.
pub(crate) fn interval<T: Copy>(items: &[T], measure: impl Fn(&[T]) -> f32) -> (f32, f32) {
    let mut measured: Vec<f32> = (0..1000u64)
        .map(|draw| {
            let pick = |at: u64| items[(scramble(draw << 32 | at) % items.len() as u64) as usize];
            measure(&(0..items.len() as u64).map(pick).collect::<Vec<T>>())
        })
        .collect();
    measured.sort_by(f32::total_cmp);
    (measured[25], measured[974])
}

pub(crate) fn argmax(values: &[f32]) -> usize {
    values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index)
}
