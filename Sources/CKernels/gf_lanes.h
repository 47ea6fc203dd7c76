// gf_lanes.h
//
// The transforms of the vector levels, written once. A file that includes this defines before:
//   block          one 64-byte block in registers
//   loaded_factor  a factor in registers
//   LEVEL_FACTOR_BYTES, block_load, block_store, block_xor, factor_load,
//   block_add_product(a, b, factor) = a ^ b * factor
// and has switched on its CPU features for all functions that follow.
//
// Two layers are fused into one pass over four rows, and a transform first (fft) or last (ifft)
// splits into four quarters: what the quarters work on stays in the nearest cache.

#include "gf_kernels.h"

static inline loaded_factor twiddle_load(const void *twiddles, size_t index) {
  return factor_load((const uint8_t *)twiddles + index * LEVEL_FACTOR_BYTES);
}

static void multiply(uint8_t *target, const uint8_t *source, size_t row_bytes, const void *factor) {
  loaded_factor loaded = factor_load(factor);
  for (size_t i = 0; i < row_bytes; i += BLOCK_BYTES) {
    block_store(target + i, block_add_product(block_zero(), block_load(source + i), loaded));
  }
}

static void exclusive_or(uint8_t *target, const uint8_t *source, size_t byte_count) {
  size_t i = 0;
  for (; i + BLOCK_BYTES <= byte_count; i += BLOCK_BYTES) {
    block_store(target + i, block_xor(block_load(target + i), block_load(source + i)));
  }
  for (; i < byte_count; i++) target[i] ^= source[i];
}

// ---------------------------------------------------------------------------------------------
// Inverse transform

/// Layers 1 and 2 of a four-row group: a, b, c, d are `distance` rows apart. `twiddle` is the one
/// of the upper layer; zero means that it and the first of the lower layer are factors of zero.
static inline void ifft_pass4(uint8_t *rows, size_t row_bytes, size_t distance, size_t twiddle,
                              const void *twiddles) {
  size_t span = distance * row_bytes;
  loaded_factor second = twiddle_load(twiddles, 2 * twiddle + 1);
  if (twiddle == 0) {
    for (size_t i = 0; i < span; i += BLOCK_BYTES) {
      uint8_t *p = rows + i;
      block a = block_load(p), b = block_load(p + span);
      block c = block_load(p + 2 * span), d = block_load(p + 3 * span);
      b = block_xor(b, a);
      d = block_xor(d, c);
      c = block_add_product(c, d, second);
      block_store(p, a);
      block_store(p + span, b);
      block_store(p + 2 * span, block_xor(c, a));
      block_store(p + 3 * span, block_xor(d, b));
    }
    return;
  }
  loaded_factor first = twiddle_load(twiddles, 2 * twiddle);
  loaded_factor upper = twiddle_load(twiddles, twiddle);
  for (size_t i = 0; i < span; i += BLOCK_BYTES) {
    uint8_t *p = rows + i;
    block a = block_load(p), b = block_load(p + span);
    block c = block_load(p + 2 * span), d = block_load(p + 3 * span);
    b = block_xor(b, a);
    a = block_add_product(a, b, first);
    d = block_xor(d, c);
    c = block_add_product(c, d, second);
    c = block_xor(c, a);
    d = block_xor(d, b);
    block_store(p, block_add_product(a, c, upper));
    block_store(p + span, block_add_product(b, d, upper));
    block_store(p + 2 * span, c);
    block_store(p + 3 * span, d);
  }
}

/// A transform of two rows.
static inline void ifft_pass2(uint8_t *rows, size_t row_bytes, size_t twiddle,
                              const void *twiddles) {
  loaded_factor factor = twiddle_load(twiddles, twiddle);
  for (size_t i = 0; i < row_bytes; i += BLOCK_BYTES) {
    block a = block_load(rows + i), b = block_load(rows + row_bytes + i);
    b = block_xor(b, a);
    block_store(rows + i, block_add_product(a, b, factor));
    block_store(rows + row_bytes + i, b);
  }
}

static void ifft(uint8_t *rows, size_t row_bytes, size_t size, size_t delta, size_t nonzero_count,
                 const void *twiddles) {
  if (size < 2 || nonzero_count == 0) return;
  if (size == 2) {
    ifft_pass2(rows, row_bytes, delta / 2, twiddles);
    return;
  }
  size_t quarter = size / 4;
  for (size_t r = 0; quarter > 1 && r < size && r < nonzero_count; r += quarter) {
    ifft(rows + r * row_bytes, row_bytes, quarter, delta + r, nonzero_count - r, twiddles);
  }
  ifft_pass4(rows, row_bytes, quarter, delta / size, twiddles);
}

// ---------------------------------------------------------------------------------------------
// Forward transform

/// The mirror of ifft_pass4, from `source` to `rows`.
static inline void fft_pass4(uint8_t *rows, const uint8_t *source, size_t row_bytes,
                             size_t distance, size_t twiddle, const void *twiddles) {
  size_t span = distance * row_bytes;
  loaded_factor second = twiddle_load(twiddles, 2 * twiddle + 1);
  if (twiddle == 0) {
    for (size_t i = 0; i < span; i += BLOCK_BYTES) {
      const uint8_t *s = source + i;
      uint8_t *p = rows + i;
      block a = block_load(s), b = block_load(s + span);
      block c = block_xor(block_load(s + 2 * span), a);
      block d = block_xor(block_load(s + 3 * span), b);
      c = block_add_product(c, d, second);
      block_store(p, a);
      block_store(p + span, block_xor(b, a));
      block_store(p + 2 * span, c);
      block_store(p + 3 * span, block_xor(d, c));
    }
    return;
  }
  loaded_factor first = twiddle_load(twiddles, 2 * twiddle);
  loaded_factor upper = twiddle_load(twiddles, twiddle);
  for (size_t i = 0; i < span; i += BLOCK_BYTES) {
    const uint8_t *s = source + i;
    uint8_t *p = rows + i;
    block a = block_load(s), b = block_load(s + span);
    block c = block_load(s + 2 * span), d = block_load(s + 3 * span);
    a = block_add_product(a, c, upper);
    b = block_add_product(b, d, upper);
    c = block_xor(c, a);
    d = block_xor(d, b);
    a = block_add_product(a, b, first);
    c = block_add_product(c, d, second);
    block_store(p, a);
    block_store(p + span, block_xor(b, a));
    block_store(p + 2 * span, c);
    block_store(p + 3 * span, block_xor(d, c));
  }
}

static inline void fft_pass2(uint8_t *rows, const uint8_t *source, size_t row_bytes,
                             size_t twiddle, const void *twiddles) {
  loaded_factor factor = twiddle_load(twiddles, twiddle);
  for (size_t i = 0; i < row_bytes; i += BLOCK_BYTES) {
    block a = block_load(source + i), b = block_load(source + row_bytes + i);
    a = block_add_product(a, b, factor);
    block_store(rows + i, a);
    block_store(rows + row_bytes + i, block_xor(b, a));
  }
}

/// Rows `wanted_from ..< wanted_to` are counted from `rows`.
static void fft(uint8_t *rows, const uint8_t *source, size_t row_bytes, size_t size, size_t delta,
                size_t wanted_from, size_t wanted_to, const void *twiddles) {
  if (size == 1 && rows != source) memcpy(rows, source, row_bytes);
  if (size < 2) return;
  if (size == 2) {
    fft_pass2(rows, source, row_bytes, delta / 2, twiddles);
    return;
  }
  size_t quarter = size / 4;
  fft_pass4(rows, source, row_bytes, quarter, delta / size, twiddles);
  for (size_t r = 0; quarter > 1 && r < size && r < wanted_to; r += quarter) {
    if (r + quarter <= wanted_from) continue;
    size_t from = wanted_from > r ? wanted_from - r : 0;
    uint8_t *part = rows + r * row_bytes;
    fft(part, part, row_bytes, quarter, delta + r, from, wanted_to - r, twiddles);
  }
}

/// target ^= source * factor
static void add_product(uint8_t *target, const uint8_t *source, size_t row_bytes,
                        const void *factor) {
  loaded_factor loaded = factor_load(factor);
  for (size_t i = 0; i < row_bytes; i += BLOCK_BYTES) {
    block sum = block_add_product(block_load(target + i), block_load(source + i), loaded);
    block_store(target + i, sum);
  }
}

#define GF_LANES_KERNELS(name, make)                                                        \
  const gf_kernels name = {                                                                 \
      .factor_bytes = LEVEL_FACTOR_BYTES,                                                   \
      .factor_make = make,                                                                  \
      .ifft = ifft,                                                                         \
      .fft = fft,                                                                           \
      .multiply = multiply,                                                                 \
      .exclusive_or = exclusive_or,                                                         \
      .add_product = add_product,                                                           \
  }
