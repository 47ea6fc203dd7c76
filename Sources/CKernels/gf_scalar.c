// gf_scalar.c
//
// The field kernels as the specification writes them: one element, one butterfly, one layer at a
// time. The fast levels are tested against this file; it also serves CPUs that have no other.

#include <string.h>

#include "gf_kernels.h"

/// Per nibble of an element, the product of each of its values.
typedef struct product_tables {
  uint16_t of_nibble[4][16];
} product_tables;

static void factor_make(const uint16_t products[16], void *factor) {
  product_tables tables = {0};
  for (size_t nibble = 0; nibble < 4; nibble++) {
    for (size_t value = 0; value < 16; value++) {
      for (size_t bit = 0; bit < 4; bit++) {
        if (value >> bit & 1) tables.of_nibble[nibble][value] ^= products[4 * nibble + bit];
      }
    }
  }
  memcpy(factor, &tables, sizeof tables);
}

static product_tables tables_of(const void *factors, size_t index) {
  product_tables tables;
  memcpy(&tables, (const uint8_t *)factors + index * sizeof tables, sizeof tables);
  return tables;
}

/// A factor times an element.
static inline uint16_t product(const product_tables *tables, uint8_t low, uint8_t high) {
  return tables->of_nibble[0][low & 15] ^ tables->of_nibble[1][low >> 4] ^
         tables->of_nibble[2][high & 15] ^ tables->of_nibble[3][high >> 4];
}

/// a ^= b * factor
static void add_product(uint8_t *a, const uint8_t *b, size_t row_bytes,
                        const product_tables *tables) {
  for (size_t start = 0; start < row_bytes; start += BLOCK_BYTES) {
    for (size_t j = start; j < start + HALF_BYTES; j++) {
      uint16_t value = product(tables, b[j], b[HALF_BYTES + j]);
      a[j] ^= (uint8_t)value;
      a[HALF_BYTES + j] ^= (uint8_t)(value >> 8);
    }
  }
}

static void exclusive_or(uint8_t *target, const uint8_t *source, size_t byte_count) {
  for (size_t i = 0; i < byte_count; i++) target[i] ^= source[i];
}

static void multiply(uint8_t *target, const uint8_t *source, size_t row_bytes, const void *factor) {
  product_tables tables = tables_of(factor, 0);
  for (size_t start = 0; start < row_bytes; start += BLOCK_BYTES) {
    for (size_t j = start; j < start + HALF_BYTES; j++) {
      uint16_t value = product(&tables, source[j], source[HALF_BYTES + j]);
      target[j] = (uint8_t)value;
      target[HALF_BYTES + j] = (uint8_t)(value >> 8);
    }
  }
}

static void ifft(uint8_t *rows, size_t row_bytes, size_t size, size_t delta, size_t nonzero_count,
                 const void *twiddles) {
  for (size_t distance = 1; distance < size; distance *= 2) {
    for (size_t r = 0; r < nonzero_count && r < size; r += 2 * distance) {
      size_t twiddle = (r + delta) / (2 * distance);
      product_tables factor = tables_of(twiddles, twiddle);
      for (size_t i = r; i < r + distance; i++) {
        uint8_t *a = rows + i * row_bytes, *b = a + distance * row_bytes;
        exclusive_or(b, a, row_bytes);
        if (twiddle != 0) add_product(a, b, row_bytes, &factor);
      }
    }
  }
}

static void fft(uint8_t *rows, const uint8_t *source, size_t row_bytes, size_t size, size_t delta,
                size_t wanted_from, size_t wanted_to, const void *twiddles) {
  if (rows != source) memcpy(rows, source, size * row_bytes);
  for (size_t distance = size / 2; distance > 0; distance /= 2) {
    for (size_t r = 0; r < size; r += 2 * distance) {
      if (r >= wanted_to || r + 2 * distance <= wanted_from) continue;
      size_t twiddle = (r + delta) / (2 * distance);
      product_tables factor = tables_of(twiddles, twiddle);
      for (size_t i = r; i < r + distance; i++) {
        uint8_t *a = rows + i * row_bytes, *b = a + distance * row_bytes;
        if (twiddle != 0) add_product(a, b, row_bytes, &factor);
        exclusive_or(b, a, row_bytes);
      }
    }
  }
}

static void add_factor_product(uint8_t *target, const uint8_t *source, size_t row_bytes,
                               const void *factor) {
  product_tables tables = tables_of(factor, 0);
  add_product(target, source, row_bytes, &tables);
}

const gf_kernels gf_scalar = {
    .factor_bytes = sizeof(product_tables),
    .factor_make = factor_make,
    .ifft = ifft,
    .fft = fft,
    .multiply = multiply,
    .exclusive_or = exclusive_or,
    .add_product = add_factor_product,
};
