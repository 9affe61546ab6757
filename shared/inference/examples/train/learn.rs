//! Multinomial logistic regression by full-batch Adam, and its measures.

use wardstream_inference::heads::softmax;

/// A sparse row: index and value.
pub(crate) type Row = Vec<(usize, f32)>;

/// Weights, a row a class, and biases.
#[derive(Debug, Clone)]
pub(crate) struct Regression {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) inputs: usize,
}

impl Regression {
    pub(crate) fn logits(&self, row: &Row) -> Vec<f32> {
        let mut logits = self.bias.clone();
        for (class, logit) in logits.iter_mut().enumerate() {
            let weights = &self.weight[class * self.inputs..(class + 1) * self.inputs];
            *logit += row.iter().map(|&(i, v)| weights[i] * v).sum::<f32>();
        }
        logits
    }
}

/// Fits with balanced class weights and an L2 penalty. Starts from zero, so no seed is needed.
pub(crate) fn fit(
    rows: &[&Row],
    labels: &[usize],
    importance: &[f32],
    classes: usize,
    inputs: usize,
    l2: f32,
    epochs: usize,
) -> Regression {
    let mut counts = vec![0.0f32; classes];
    labels.iter().zip(importance).for_each(|(&l, w)| counts[l] += w);
    let total: f32 = importance.iter().sum();
    // The square root tempers the balance: rare labels are helped without drowning the others.
    let weights: Vec<f32> = counts.iter().map(|c| (total / (classes as f32 * c.max(1.0))).sqrt()).collect();
    let mut model = Regression { weight: vec![0.0; classes * inputs], bias: vec![0.0; classes], inputs };
    let size = model.weight.len() + classes;
    let (mut first, mut second) = (vec![0.0f32; size], vec![0.0f32; size]);
    for epoch in 1..=epochs {
        let mut gradient = vec![0.0f32; size];
        for ((row, &label), importance) in rows.iter().zip(labels).zip(importance) {
            let p = softmax(&model.logits(row));
            for class in 0..classes {
                let error =
                    (p[class] - f32::from(u8::from(class == label))) * weights[label] * importance / total;
                let base = class * inputs;
                for &(index, value) in row.iter() {
                    gradient[base + index] += error * value;
                }
                gradient[classes * inputs + class] += error;
            }
        }
        let rate = 0.08 * (1.0 - 0.9 * epoch as f32 / epochs as f32);
        let (c1, c2) = (1.0 - 0.9f32.powi(epoch as i32), 1.0 - 0.99f32.powi(epoch as i32));
        for (index, g) in gradient.iter_mut().enumerate() {
            let parameter = if index < classes * inputs {
                &mut model.weight[index]
            } else {
                &mut model.bias[index - classes * inputs]
            };
            if index < classes * inputs {
                *g += l2 * *parameter;
            }
            first[index] = 0.9 * first[index] + 0.1 * *g;
            second[index] = 0.99 * second[index] + 0.01 * *g * *g;
            *parameter -= rate * (first[index] / c1) / ((second[index] / c2).sqrt() + 1e-8);
        }
    }
    model
}

/// Macro-averaged F1 over the labels that occur.
pub(crate) fn macro_f1(truth: &[usize], guess: &[usize], classes: usize) -> f32 {
    let scores: Vec<f32> =
        (0..classes).filter(|c| truth.contains(c)).map(|c| per_class(truth, guess, c).2).collect();
    scores.iter().sum::<f32>() / scores.len().max(1) as f32
}

/// Precision, recall and F1 of a label.
pub(crate) fn per_class(truth: &[usize], guess: &[usize], class: usize) -> (f32, f32, f32) {
    let pairs = || truth.iter().zip(guess);
    let hit = pairs().filter(|(t, g)| **t == class && **g == class).count() as f32;
    let guessed = guess.iter().filter(|g| **g == class).count() as f32;
    let real = truth.iter().filter(|t| **t == class).count() as f32;
    let (precision, recall) = (hit / guessed.max(1.0), hit / real.max(1.0));
    (precision, recall, 2.0 * precision * recall / (precision + recall).max(1e-9))
}

/// Expected calibration error with ten equal-width bins.
pub(crate) fn calibration(probabilities: &[Vec<f32>], truth: &[usize]) -> f32 {
    let mut bins = [(0.0f32, 0.0f32, 0.0f32); 10];
    for (p, &label) in probabilities.iter().zip(truth) {
        let guess = argmax(p);
        let bin = &mut bins[((p[guess] * 10.0) as usize).min(9)];
        *bin = (bin.0 + 1.0, bin.1 + p[guess], bin.2 + f32::from(u8::from(guess == label)));
    }
    bins.iter().map(|(_, p, right)| (p - right).abs()).sum::<f32>() / truth.len().max(1) as f32
}

pub(crate) fn argmax(values: &[f32]) -> usize {
    values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index)
}
