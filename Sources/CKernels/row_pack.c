// row_pack.c
//
// Symbols in memory <-> rows of blocks. Whole blocks are copied as they are. Tails are short (below
// 64 bytes), so the tails of several codewords share a block: without that, 2-byte symbols would
// cost as much as 64-byte ones.

#include <string.h>

#include "gf_kernels.h"

/// How the tails of one symbol length share blocks.
typedef struct tail_shape {
  size_t whole_blocks;  // per codeword
  size_t half_bytes;    // elements of a tail
  size_t per_block;     // tails that fit into one block
} tail_shape;

static tail_shape shape_of(size_t symbol_bytes) {
  size_t half = symbol_bytes % BLOCK_BYTES / 2;
  return (tail_shape){symbol_bytes / BLOCK_BYTES, half, half == 0 ? 1 : HALF_BYTES / half};
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

size_t ck_row_block_count(size_t symbol_bytes, size_t codeword_count) {
  tail_shape shape = shape_of(symbol_bytes);
  size_t tail_blocks = (codeword_count + shape.per_block - 1) / shape.per_block;
  return shape.whole_blocks * codeword_count + (shape.half_bytes == 0 ? 0 : tail_blocks);
}

/// The next strip goes on where a run of blocks ends inside a symbol; by then its bytes shall be in
/// the cache, which no CPU guesses for runs this short.
static inline void fetch_next_run(const uint8_t *run_end, size_t run, size_t blocks_left) {
  size_t count = smaller(run, blocks_left);
  for (size_t i = 0; i < count; i++) __builtin_prefetch(run_end + i * BLOCK_BYTES);
}

/// The same for bytes that will be written.
static inline void claim_next_run(const uint8_t *run_end, size_t run, size_t blocks_left) {
  size_t count = smaller(run, blocks_left);
  for (size_t i = 0; i < count; i++) __builtin_prefetch(run_end + i * BLOCK_BYTES, 1);
}

/// With a constant `half` the copies become single moves; a call for each would take longer than all
/// that is computed for short symbols.
#define WITH_CONSTANT_HALF(half, run)   \
  switch (half) {                       \
    case 1: run(1); break;              \
    case 2: run(2); break;              \
    case 3: run(3); break;              \
    case 4: run(4); break;              \
    case 5: run(5); break;              \
    case 6: run(6); break;              \
    case 7: run(7); break;              \
    case 8: run(8); break;              \
    default: run(half);                 \
  }

/// `tails` tails of `half` + `half` bytes, `stride` apart, into one block.
static void gather_tails(uint8_t *block, const uint8_t *tail, size_t half, size_t stride,
                         size_t tails) {
  memset(block, 0, BLOCK_BYTES);
#define GATHER(half)                                                     \
  for (size_t i = 0; i < tails; i++) {                                   \
    memcpy(block + i * (half), tail + i * stride, half);                 \
    memcpy(block + HALF_BYTES + i * (half), tail + i * stride + (half), half); \
  }
  WITH_CONSTANT_HALF(half, GATHER)
#undef GATHER
}

static void scatter_tails(const uint8_t *block, uint8_t *tail, size_t half, size_t stride,
                          size_t tails) {
#define SCATTER(half)                                                    \
  for (size_t i = 0; i < tails; i++) {                                   \
    memcpy(tail + i * stride, block + i * (half), half);                 \
    memcpy(tail + i * stride + (half), block + HALF_BYTES + i * (half), half); \
  }
  WITH_CONSTANT_HALF(half, SCATTER)
#undef SCATTER
}

void ck_row_gather(uint8_t *row, const uint8_t *symbol, size_t symbol_bytes, size_t codeword_stride,
                   size_t codeword_count, size_t first_block, size_t block_count) {
  tail_shape shape = shape_of(symbol_bytes);
  size_t whole_total = shape.whole_blocks * codeword_count, block = first_block;
  size_t end = first_block + block_count;
  while (block < smaller(end, whole_total)) {
    size_t codeword = block / shape.whole_blocks, inside = block % shape.whole_blocks;
    size_t run = smaller(shape.whole_blocks - inside, end - block);
    const uint8_t *from = symbol + codeword * codeword_stride + inside * BLOCK_BYTES;
    memcpy(row, from, run * BLOCK_BYTES);
    fetch_next_run(from + run * BLOCK_BYTES, run, shape.whole_blocks - inside - run);
    row += run * BLOCK_BYTES;
    block += run;
  }
  for (; block < end; block++, row += BLOCK_BYTES) {
    size_t codeword = (block - whole_total) * shape.per_block;
    const uint8_t *tail =
        symbol + codeword * codeword_stride + shape.whole_blocks * BLOCK_BYTES;
    size_t tails = smaller(shape.per_block, codeword_count - codeword);
    gather_tails(row, tail, shape.half_bytes, codeword_stride, tails);
  }
}

void ck_row_scatter(const uint8_t *row, uint8_t *symbol, size_t symbol_bytes,
                    size_t codeword_stride, size_t codeword_count, size_t first_block,
                    size_t block_count) {
  tail_shape shape = shape_of(symbol_bytes);
  size_t whole_total = shape.whole_blocks * codeword_count, block = first_block;
  size_t end = first_block + block_count;
  while (block < smaller(end, whole_total)) {
    size_t codeword = block / shape.whole_blocks, inside = block % shape.whole_blocks;
    size_t run = smaller(shape.whole_blocks - inside, end - block);
    uint8_t *to = symbol + codeword * codeword_stride + inside * BLOCK_BYTES;
    memcpy(to, row, run * BLOCK_BYTES);
    claim_next_run(to + run * BLOCK_BYTES, run, shape.whole_blocks - inside - run);
    row += run * BLOCK_BYTES;
    block += run;
  }
  for (; block < end; block++, row += BLOCK_BYTES) {
    size_t codeword = (block - whole_total) * shape.per_block;
    uint8_t *tail = symbol + codeword * codeword_stride + shape.whole_blocks * BLOCK_BYTES;
    size_t tails = smaller(shape.per_block, codeword_count - codeword);
    scatter_tails(row, tail, shape.half_bytes, codeword_stride, tails);
  }
}

/// With a constant length the copies below become single moves.
static inline void copy_strided(uint8_t *target, size_t target_stride, const uint8_t *source,
                                size_t source_stride, size_t bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    memcpy(target + i * target_stride, source + i * source_stride, bytes);
  }
}

void ck_symbols_copy(uint8_t *target, size_t target_stride, const uint8_t *source,
                     size_t source_stride, size_t symbol_bytes, size_t count) {
  if (target_stride == symbol_bytes && source_stride == symbol_bytes) {
    memcpy(target, source, symbol_bytes * count);
    return;
  }
  switch (symbol_bytes) {
    case 2: copy_strided(target, target_stride, source, source_stride, 2, count); break;
    case 4: copy_strided(target, target_stride, source, source_stride, 4, count); break;
    case 8: copy_strided(target, target_stride, source, source_stride, 8, count); break;
    case 16: copy_strided(target, target_stride, source, source_stride, 16, count); break;
    default: copy_strided(target, target_stride, source, source_stride, symbol_bytes, count);
  }
}
