#pragma once

#include <cstdint>

#include "models/vit_options.h"

namespace previt::cli {

// What a process needs to train, in bytes, by arithmetic over the model's shapes (docs/memory.md).

/// What the graph keeps of one block for each image until its backward, if all `tokens` are
/// computed. `type_bytes`: of a number of the compute type; `drop_path`: the block's own rate.
///
///     float32       input of either norm 2 N D; with LayerScale, what is scaled 2 N D;
///                   sums of the softmax H N, moments of the norms 4 N
///     compute type  outputs of the norms 2 N D, q k v 3 N W, attention's output N W, and of the
///                   MLP F wide: GELU's derivative and output 2 N F, or SwiGLU's 4 N F
///
/// Of the branches only the images are counted that drop path leaves.
double block_bytes(const VitOptions& model, double tokens, double drop_path, double type_bytes);

/// What it keeps if it is checkpointed: its input, float32 N D.
double checkpointed_block_bytes(const VitOptions& model, double tokens);

/// A model as the estimate sees it.
struct MemoryShape {
  double weights = 0;        ///< bytes of parameters and buffers, those of teachers included
  double trained = 0;        ///< numbers that have a gradient
  double copied = 0;         ///< weights of linear layers that are copied to bf16; 0 in fp32
  double states = 2;         ///< of the optimizer for each trained number: AdamW 2, others 1
  bool average = false;      ///< train.ema_decay
  bool accumulates = false;  ///< several micro-batches a step: gradients stay in between
  int64_t depth = 0;         ///< blocks of the trained encoder
  int64_t counted = 0;       ///< of which arithmetic counts these, and `rest` holds the others
  double block = 0, checkpointed_block = 0;  ///< bytes an image of one
  /// All else at its peak: what is kept outside of blocks and needed for a moment. Measured, with
  /// the blocks that aren't counted as they are and checkpointed.
  struct Rest {
    double fixed = 0, per_image = 0;
  };
  Rest rest, checkpointed_rest;
};

/// How it is trained.
struct MemoryChoice {
  int64_t images = 1;             ///< of a micro-batch
  int64_t checkpoint_blocks = 0;  ///< train.checkpoint_blocks
  int64_t processes = 1;
  bool shard_optimizer = false;  ///< train.shard_optimizer
};

/// Bytes that a process needs.
struct MemoryNeed {
  double weights = 0, gradients = 0, optimizer = 0, average = 0, copies = 0;
  double activations = 0;  ///< at the end of a micro-batch's forward, or when a block is made again
  double peak = 0;         ///< all of them, but gradients that come only as activations go
};
MemoryNeed memory_need(const MemoryShape& shape, const MemoryChoice& choice);

}  // namespace previt::cli
