//! The weights of an ONNX graph, as tensors with the names of the published safetensors.
//!
//! Only the weights are read: of the graph's nodes, those that multiply by a weight or look rows up in one, since they
//! alone tell what an initialiser is called and how it was rounded. Field numbers are those of `onnx.proto3` (ONNX 1.16);
//! `MatMulNBits` is an operator of onnxruntime (domain `com.microsoft`, version 1).

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Initializer>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    operator: String,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    integer: i64,
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
struct Initializer {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    floats: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    integers: Vec<i32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw: Vec<u8>,
}

/// `TensorProto.DataType`.
const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
/// What a four-bit number stands above zero where a graph gives no zero points (`MatMulNBits`, input 3).
const NIBBLE_ZERO: f32 = 8.0;

impl Initializer {
    fn shape(&self) -> Option<Vec<usize>> {
        self.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect()
    }

    fn numbers(&self) -> Option<Vec<f32>> {
        match self.data_type {
            FLOAT if self.raw.is_empty() => Some(self.floats.clone()),
            FLOAT => {
                let (numbers, rest) = self.raw.as_chunks::<4>();
                rest.is_empty().then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            UINT8 if self.raw.is_empty() => Some(self.integers.iter().map(|number| *number as f32).collect()),
            UINT8 => Some(self.raw.iter().map(|byte| f32::from(*byte)).collect()),
            INT8 if self.raw.is_empty() => Some(self.integers.iter().map(|number| *number as f32).collect()),
            INT8 => Some(self.raw.iter().map(|byte| f32::from(byte.cast_signed())).collect()),
            _ => None,
        }
    }
}

/// Reads the weights of a graph. The error says which part is missing or of another kind.
pub(crate) fn weights(bytes: &[u8]) -> Result<HashMap<String, Tensor>, candle_core::Error> {
    let refuse =
        |what: &str, name: &str| candle_core::Error::Msg(format!("{what} in the ONNX graph: {name}"));
    let graph = Model::decode(bytes)
        .map_err(candle_core::Error::wrap)?
        .graph
        .ok_or_else(|| refuse("no weights", "no graph"))?;
    let by_name: HashMap<&str, &Initializer> =
        graph.initializers.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut tensors = HashMap::new();
    let mut put = |name: String, numbers: Vec<f32>, shape: Vec<usize>| {
        Tensor::from_vec(numbers, shape, &Device::Cpu).map(|tensor| tensors.insert(name, tensor)).map(drop)
    };
    for node in graph.nodes.iter().filter(|node| node.operator == "MatMulNBits") {
        let matrix =
            nibbles(node, &by_name).ok_or_else(|| refuse("a matrix that cannot be read", &node.name))?;
        // "/bert/encoder/layer.0/output/dense/MatMul_Q4" multiplies by "bert.encoder.layer.0.output.dense.weight".
        let path = node.name.trim_start_matches('/');
        let path = path.rsplit_once('/').map_or(path, |(path, _)| path);
        put(format!("{}.weight", path.replace('/', ".")), matrix.numbers, vec![matrix.rows, matrix.columns])?;
    }
    for tensor in &graph.initializers {
        if tensor.name.starts_with("onnx::") {
            continue;
        }
        let part = |suffix: &str, of: &str| by_name.get(format!("{of}{suffix}").as_str()).copied();
        let read = |tensor: &Initializer| {
            tensor.numbers().ok_or_else(|| refuse("a tensor of an unknown type", &tensor.name))
        };
        let shape = tensor.shape().ok_or_else(|| refuse("a tensor of negative size", &tensor.name))?;
        if let Some(name) = tensor.name.strip_suffix("_quantized") {
            let one = |suffix| -> Result<f32, candle_core::Error> {
                let tensor = part(suffix, name).ok_or_else(|| refuse(suffix, name))?;
                read(tensor)?.first().copied().ok_or_else(|| refuse(suffix, name))
            };
            let (scale, zero) = (one("_scale")?, one("_zero_point")?);
            let numbers = read(tensor)?.into_iter().map(|number| (number - zero) * scale).collect();
            put(name.to_owned(), numbers, shape)?;
        } else if tensor.data_type == FLOAT && !shape.is_empty() {
            put(tensor.name.clone(), read(tensor)?, shape)?;
        }
    }
    Ok(tensors)
}

struct Matrix {
    rows: usize,
    columns: usize,
    numbers: Vec<f32>,
}

/// The `[outputs][inputs]` weights of a `MatMulNBits` of four bits: blocks of numbers, the lower half of a byte first, with
/// a scale each.
fn nibbles(node: &Node, tensors: &HashMap<&str, &Initializer>) -> Option<Matrix> {
    let integer = |name: &str| {
        let attribute = node.attributes.iter().find(|attribute| attribute.name == name)?;
        usize::try_from(attribute.integer).ok()
    };
    let (rows, columns, block) = (integer("N")?, integer("K")?, integer("block_size")?);
    let [_, packed, scales] = &node.inputs[..] else { return None };
    let packed = &tensors.get(packed.as_str())?.raw;
    let scales = tensors.get(scales.as_str())?.numbers()?;
    let blocks = columns.div_ceil(block.max(1));
    let fits = integer("bits")? == 4
        && block >= 2
        && block.is_multiple_of(2)
        && packed.len() == rows.checked_mul(blocks)?.checked_mul(block / 2)?
        && scales.len() == rows * blocks;
    if !fits {
        return None;
    }
    let mut numbers = Vec::with_capacity(rows * columns);
    for (row, scales) in packed.chunks_exact(blocks * block / 2).zip(scales.chunks_exact(blocks)) {
        let halves = row.iter().flat_map(|byte| [byte & 15, byte >> 4]);
        numbers.extend(
            halves
                .enumerate()
                .take(columns)
                .map(|(at, half)| (f32::from(half) - NIBBLE_ZERO) * scales[at / block]),
        );
    }
    Some(Matrix { rows, columns, numbers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, dims: &[i64], data_type: i32, raw: Vec<u8>) -> Initializer {
        Initializer { name: name.to_owned(), dims: dims.to_vec(), data_type, raw, ..Initializer::default() }
    }

    fn floats(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn graph() -> Graph {
        let integer = |name: &str, integer| Attribute { name: name.to_owned(), integer };
        Graph {
            nodes: vec![Node {
                operator: "MatMulNBits".to_owned(),
                name: "/bert/layer.0/dense/MatMul_Q4".to_owned(),
                inputs: ["x", "onnx::1_Q4", "onnx::1_scales"].map(str::to_owned).to_vec(),
                attributes: vec![
                    integer("K", 4),
                    integer("N", 2),
                    integer("bits", 4),
                    integer("block_size", 2),
                ],
            }],
            initializers: vec![
                tensor("onnx::1_Q4", &[2, 2, 1], UINT8, vec![0x98, 0x0f, 0x88, 0x7a]),
                tensor("onnx::1_scales", &[2, 2], FLOAT, floats(&[1.0, 0.5, 2.0, 0.25])),
                tensor("norm.weight", &[2], FLOAT, floats(&[0.5, -1.0])),
                tensor("words.weight_quantized", &[1, 3], UINT8, vec![130, 128, 0]),
                tensor("words.weight_scale", &[], FLOAT, floats(&[0.5])),
                tensor("words.weight_zero_point", &[], UINT8, vec![128]),
            ],
        }
    }

    fn read(graph: Graph) -> Result<HashMap<String, Tensor>, candle_core::Error> {
        weights(&Model { graph: Some(graph) }.encode_to_vec())
    }

    #[test]
    fn undoes_the_rounding_and_names_what_it_reads() {
        let Ok(tensors) = read(graph()) else { panic!("a good graph") };
        let numbers = |name: &str| -> Vec<f32> {
            tensors.get(name).and_then(|tensor| tensor.flatten_all().ok()?.to_vec1().ok()).unwrap_or_default()
        };
        assert_eq!(numbers("bert.layer.0.dense.weight"), [0.0, 1.0, 3.5, -4.0, 0.0, 0.0, 0.5, -0.25]);
        assert_eq!(tensors["bert.layer.0.dense.weight"].dims(), [2, 4]);
        assert_eq!(numbers("norm.weight"), [0.5, -1.0]);
        assert_eq!(numbers("words.weight"), [1.0, 0.0, -64.0]);
        assert_eq!(tensors.len(), 3);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let broken = |change: fn(&mut Graph)| {
            let mut graph = graph();
            change(&mut graph);
            read(graph).is_err()
        };
        assert!(weights(b"no graph at all").is_err());
        assert!(weights(&[]).is_err());
        assert!(broken(|graph| graph.nodes[0].attributes[2].integer = 8));
        assert!(broken(|graph| graph.nodes[0].attributes[3].integer = 0));
        assert!(broken(|graph| graph.nodes[0].attributes[1].integer = -1));
        assert!(broken(|graph| graph.nodes[0].attributes[1].integer = i64::MAX));
        assert!(broken(|graph| graph.nodes[0].inputs.push("zero points".to_owned())));
        assert!(broken(|graph| graph.initializers[0].raw.truncate(3)));
        assert!(broken(|graph| graph.initializers[2].dims = vec![3]));
        assert!(broken(|graph| graph.initializers.truncate(5)));
    }
}
